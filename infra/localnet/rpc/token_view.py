"""Mints and token accounts in the `jsonParsed` form. Source: anza-xyz/agave, account-decoder/src/parse_token.rs."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import EXTENSIONS_OFFSET, TOKEN_PROGRAM, ExtensionType, Mint
from infra.localnet.message import ReadAccount
from infra.localnet.token_state import TOKEN_PROGRAMS, mint, token_account, ui_token_amount

# mint_authority, supply, decimals, is_initialized, freeze_authority; a COption is a u32 tag, then the value.
_MINT = Struct("<I32sQB?I32s")
# delegate, state, is_native, delegated_amount, close_authority: what follows mint, owner and amount.
_TOKEN_ACCOUNT_TAIL = Struct("<I32sBIQQI32s")
_TOKEN_ACCOUNT_TAIL_OFFSET = 72
_STATES = ("uninitialized", "initialized", "frozen")
_EXTENSION_HEADER = Struct("<HH")
_U64 = Struct("<Q")
_TRANSFER_FEE_CONFIG = Struct("<32s32sQQQHQQH")
_TRANSFER_FEE_AMOUNT = 2
_IMMUTABLE_OWNER = 7


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
    tail = _TOKEN_ACCOUNT_TAIL.unpack_from(account.data, _TOKEN_ACCOUNT_TAIL_OFFSET)
    has_delegate, delegate, state, is_native, reserve, delegated, has_closer, closer = tail
    info: dict[str, Any] = {
        "isNative": bool(is_native),
        "mint": str(holding.mint),
        "owner": str(holding.owner),
        "state": _STATES[state],
        "tokenAmount": ui_token_amount(holding.amount, of_mint.decimals),
    }
    if has_delegate:
        info["delegate"] = str(Pubkey(delegate))
        info["delegatedAmount"] = ui_token_amount(delegated, of_mint.decimals)
    if is_native:
        info["rentExemptReserve"] = ui_token_amount(reserve, of_mint.decimals)
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


def mint_supply(address: Pubkey, account: Account) -> tuple[int, Mint] | None:
    """Base units in circulation, with the mint; None where it is none."""
    of_mint = mint(address, lambda _: account)
    return None if of_mint is None else (_MINT.unpack_from(account.data)[2], of_mint)


def _with_extensions(info: dict[str, Any], account: Account) -> dict[str, Any]:
    if account.owner == TOKEN_PROGRAM or len(account.data) <= EXTENSIONS_OFFSET:
        return info
    return {**info, "extensions": [_extension(kind, data) for kind, data in _entries(account.data)]}


def _entries(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = EXTENSIONS_OFFSET
    while offset + _EXTENSION_HEADER.size <= len(data):
        kind, length = _EXTENSION_HEADER.unpack_from(data, offset)
        if kind == 0:
            return
        offset += _EXTENSION_HEADER.size
        yield kind, data[offset : offset + length]
        offset += length


def _extension(kind: int, data: bytes) -> dict[str, Any]:
    if kind == _IMMUTABLE_OWNER:
        return {"extension": "immutableOwner"}
    if kind == _TRANSFER_FEE_AMOUNT:
        return {"extension": "transferFeeAmount", "state": {"withheldAmount": _U64.unpack(data)[0]}}
    if kind == ExtensionType.TRANSFER_FEE_CONFIG:
        return {"extension": "transferFeeConfig", "state": _transfer_fee_config(data)}
    if kind == ExtensionType.METADATA_POINTER:
        authority, address = data[:32], data[32:]
        state = {"authority": _optional(authority), "metadataAddress": _optional(address)}
        return {"extension": "metadataPointer", "state": state}
    if kind == ExtensionType.TOKEN_METADATA:
        return {"extension": "tokenMetadata", "state": _token_metadata(data)}
    return {"extension": "unparseableExtension"}


def _transfer_fee_config(data: bytes) -> dict[str, Any]:
    config_authority, withdraw_authority, withheld, *rates = _TRANSFER_FEE_CONFIG.unpack(data)
    return {
        "transferFeeConfigAuthority": _optional(config_authority),
        "withdrawWithheldAuthority": _optional(withdraw_authority),
        "withheldAmount": withheld,
        "olderTransferFee": _rate(*rates[:3]),
        "newerTransferFee": _rate(*rates[3:]),
    }


def _rate(epoch: int, maximum: int, basis_points: int) -> dict[str, int]:
    return {"epoch": epoch, "maximumFee": maximum, "transferFeeBasisPoints": basis_points}


def _token_metadata(data: bytes) -> dict[str, Any]:
    texts, offset = [], 64
    for _ in range(3):
        length = int.from_bytes(data[offset : offset + 4], "little")
        texts.append(data[offset + 4 : offset + 4 + length].decode(errors="replace"))
        offset += 4 + length
    name, symbol, uri = texts
    return {
        "updateAuthority": _optional(data[:32]),
        "mint": str(Pubkey(data[32:64])),
        "name": name,
        "symbol": symbol,
        "uri": uri,
        "additionalMetadata": [],
    }


def _optional(key: bytes) -> str | None:
    return str(Pubkey(key)) if any(key) else None
