"""Accounts as JSON-RPC shows them: encoded bytes, or parsed where a parser knows them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from infra.localnet import base58
from infra.localnet.message import ReadAccount
from infra.localnet.rpc.errors import INVALID_REQUEST, RpcError, invalid_params
from infra.localnet.rpc.params import Config
from infra.localnet.rpc.sysvar_view import parsed_sysvar
from infra.localnet.rpc.token_view import parsed_token_state
from infra.localnet.rpc.zstandard_frame import stored
from infra.localnet.runtime import RENT_EXEMPT_EPOCH

_ENCODINGS = ("base58", "base64", "base64+zstd", "jsonParsed")
_LARGEST_BASE58 = 128


@dataclass(frozen=True, slots=True)
class AccountView:
    """How a call wants accounts to be shown. Without `encoding`: base58 text alone, as the first nodes did."""

    encoding: str | None
    offset: int = 0
    length: int | None = None

    @classmethod
    def of(cls, config: Config) -> AccountView:
        encoding = config.text("encoding")
        if encoding not in (None, "binary", *_ENCODINGS):
            raise invalid_params(f"Invalid params: unknown encoding `{encoding}`.")
        part = config.object("dataSlice")
        if part is None:
            return cls(None if encoding == "binary" else encoding)
        offset, length = part.number("offset"), part.number("length")
        if offset is None or length is None:
            raise invalid_params("Invalid params: `dataSlice` needs `offset` and `length`.")
        return cls(None if encoding == "binary" else encoding, offset, length)

    @property
    def is_whole_base64(self) -> bool:
        return self.encoding == "base64" and self.offset == 0 and self.length is None


class AccountRenderer:
    """Renders accounts to JSON text. The plain base64 form of each is kept until the account changes."""

    def __init__(self) -> None:
        self._rendered: dict[Pubkey, tuple[Account, str]] = {}

    def render(self, address: Pubkey, account: Account | None, view: AccountView, read: ReadAccount) -> str:
        """JSON text; `read` gives the mint of a token account that is parsed."""
        if account is None:
            return "null"
        if not view.is_whole_base64:
            return json.dumps(account_json(address, account, view, read), separators=(",", ":"))
        rendered = self._rendered.get(address)
        if rendered is None or rendered[0] is not account:
            rendered = self._rendered[address] = (account, _base64_json(account))
        return rendered[1]


def account_json(address: Pubkey, account: Account, view: AccountView, read: ReadAccount) -> dict[str, Any]:
    return {
        "data": _data(address, account, view, read),
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": str(account.owner),
        "rentEpoch": RENT_EXEMPT_EPOCH,
        "space": len(account.data),
    }


def _data(address: Pubkey, account: Account, view: AccountView, read: ReadAccount) -> Any:
    if view.encoding == "jsonParsed":
        parsed = parsed_token_state(address, account, read) or parsed_sysvar(address, account)
        if parsed is not None:
            return parsed
    data = account.data[view.offset :]
    if view.length is not None:
        data = data[: view.length]
    if view.encoding == "base64+zstd":
        return [base64.b64encode(stored(data)).decode(), "base64+zstd"]
    if view.encoding in ("base64", "jsonParsed"):
        return [base64.b64encode(data).decode(), "base64"]
    if len(data) > _LARGEST_BASE58:
        raise RpcError(
            INVALID_REQUEST,
            f"Encoded binary (base 58) data should be less than {_LARGEST_BASE58} bytes, please use Base64 encoding.",
        )
    text = base58.encode(data)
    return text if view.encoding is None else [text, "base58"]


def _base64_json(account: Account) -> str:
    """`account_json` as text, without a pass over the data to look for what must be escaped: nothing has to be."""
    return (
        f'{{"data":["{base64.b64encode(account.data).decode()}","base64"],'
        f'"executable":{"true" if account.executable else "false"},"lamports":{account.lamports},'
        f'"owner":"{account.owner}","rentEpoch":{RENT_EXEMPT_EPOCH},"space":{len(account.data)}}}'
    )
