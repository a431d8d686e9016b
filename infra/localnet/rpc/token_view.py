"""Mints and token accounts in the `jsonParsed` form. Source: anza-xyz/agave, account-decoder/src/parse_token.rs."""

from __future__ import annotations

from struct import Struct
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import EXTENSIONS_OFFSET, TOKEN_PROGRAM, Mint
from infra.localnet.message import ReadAccount
from infra.localnet.rpc.token_extension_view import extension_json
from infra.localnet.token_extensions import all_extensions
from infra.localnet.token_state import TOKEN_PROGRAMS, mint, token_account
from infra.localnet.ui_amount import UiUnit

# mint_authority, supply, decimals, is_initialized, freeze_authority; a COption is a u32 tag, then the value.
_MINT = Struct("<I32sQB?I32s")
# delegate, state, is_native, delegated_amount, close_authority: what follows mint, owner and amount.
_TOKEN_ACCOUNT_TAIL = Struct("<I32sBIQQI32s")
_TOKEN_ACCOUNT_TAIL_OFFSET = 72
_STATES = ("uninitialized", "initialized", "frozen")


def parsed_token_state(address: Pubkey, account: Account, read: ReadAccount) -> dict[str, Any] | None:
    """None where `account` is neither a mint nor a token account."""
    if account.owner not in TOKEN_PROGRAMS:
        return None
    of_account = _parsed_token_account(account, read)
    parsed = of_account if of_account is not None else _parsed_mint(address, account, read)
    if parsed is None:
        return None
    program = "spl-token" if account.owner == TOKEN_PROGRAM else "spl-token-2022"
    return {"program": program, "parsed": parsed, "space": len(account.data)}


def _parsed_token_account(account: Account, read: ReadAccount) -> dict[str, Any] | None:
    holding = token_account(account)
    of_mint = None if holding is None else mint(holding.mint, read)
    if holding is None or of_mint is None:
        return None
    unit = UiUnit.of(holding.mint, of_mint.decimals, read)
    tail = _TOKEN_ACCOUNT_TAIL.unpack_from(account.data, _TOKEN_ACCOUNT_TAIL_OFFSET)
    has_delegate, delegate, state, is_native, reserve, delegated, has_closer, closer = tail
    info: dict[str, Any] = {
        "isNative": bool(is_native),
        "mint": str(holding.mint),
        "owner": str(holding.owner),
        "state": _STATES[state],
        "tokenAmount": unit.show(holding.amount),
    }
    if has_delegate:
        info["delegate"] = str(Pubkey(delegate))
        info["delegatedAmount"] = unit.show(delegated)
    if is_native:
        info["rentExemptReserve"] = unit.show(reserve)
    if has_closer:
        info["closeAuthority"] = str(Pubkey(closer))
    return {"info": _with_extensions(info, account), "type": "account"}


def _parsed_mint(address: Pubkey, account: Account, read: ReadAccount) -> dict[str, Any] | None:
    if mint(address, lambda _: account) is None:
        return None
    has_authority, authority, supply, decimals, initialized, has_freezer, freezer = _MINT.unpack_from(account.data)
    info = {
        "decimals": decimals,
        "freezeAuthority": str(Pubkey(freezer)) if has_freezer else None,
        "isInitialized": initialized,
        "mintAuthority": str(Pubkey(authority)) if has_authority else None,
        "supply": str(supply),
    }
    return {"info": _with_extensions(info, account), "type": "mint"}


def delegate_of(account: Account) -> Pubkey | None:
    """Who may move a token account's tokens besides its owner."""
    has_delegate, delegate, *_ = _TOKEN_ACCOUNT_TAIL.unpack_from(account.data, _TOKEN_ACCOUNT_TAIL_OFFSET)
    return Pubkey(delegate) if has_delegate else None


def mint_supply(address: Pubkey, account: Account) -> tuple[int, Mint] | None:
    """Base units in circulation, with the mint; None where it is none."""
    of_mint = mint(address, lambda _: account)
    return None if of_mint is None else (_MINT.unpack_from(account.data)[2], of_mint)


def _with_extensions(info: dict[str, Any], account: Account) -> dict[str, Any]:
    if account.owner == TOKEN_PROGRAM or len(account.data) <= EXTENSIONS_OFFSET:
        return info
    return {**info, "extensions": [extension_json(kind, data) for kind, data in all_extensions(account)]}
