"""Token-2022's extensions in the `jsonParsed` form.

Source: anza-xyz/agave, account-decoder/src/parse_token_extension.rs; layouts in solana-program/token-2022,
interface/src/extension, and for metadata and groups in the interfaces of those names. Those of confidential transfers,
which nobody makes here, are not parsed.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from struct import Struct
from struct import error as struct_error
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.tokens import ExtensionType
from infra.localnet.token_extensions import AccountExtension
from infra.localnet.ui_amount import INTEREST_BEARING, SCALED_UI_AMOUNT

_STATES = ("uninitialized", "initialized", "frozen")
_U32, _U64 = Struct("<I"), Struct("<Q")
_KEY, _TWO_KEYS = Struct("<32s"), Struct("<32s32s")
_FLAG = Struct("<?")
_TRANSFER_FEE_CONFIG = Struct("<32s32sQQQHQQH")
_PAUSABLE = Struct("<32s?")
_TOKEN_GROUP = Struct("<32s32sQQ")
_TOKEN_GROUP_MEMBER = Struct("<32s32sQ")
_UNPARSEABLE = {"extension": "unparseableExtension"}

State = dict[str, Any]


def extension_json(kind: int, data: bytes) -> dict[str, Any]:
    """One extension of a mint or a token account."""
    name = _WITHOUT_STATE.get(kind)
    if name is not None:
        return {"extension": name}
    if kind not in _WITH_STATE:
        return dict(_UNPARSEABLE)
    name, parse = _WITH_STATE[kind]
    try:
        return {"extension": name, "state": parse(data)}
    except (struct_error, IndexError):
        return dict(_UNPARSEABLE)


def _optional(key: bytes) -> str | None:
    return str(Pubkey(key)) if any(key) else None


def _one_key(name: str) -> Callable[[bytes], State]:
    return lambda data: {name: _optional(*_KEY.unpack(data))}


def _authority_and(name: str) -> Callable[[bytes], State]:
    def parse(data: bytes) -> State:
        authority, other = _TWO_KEYS.unpack(data)
        return {"authority": _optional(authority), name: _optional(other)}

    return parse


def _flag(name: str) -> Callable[[bytes], State]:
    return lambda data: {name: _FLAG.unpack(data)[0]}


def _transfer_fee_config(data: bytes) -> State:
    config_authority, withdraw_authority, withheld, *rates = _TRANSFER_FEE_CONFIG.unpack(data)
    return {
        "transferFeeConfigAuthority": _optional(config_authority),
        "withdrawWithheldAuthority": _optional(withdraw_authority),
        "withheldAmount": withheld,
        "olderTransferFee": _rate(*rates[:3]),
        "newerTransferFee": _rate(*rates[3:]),
    }


def _rate(epoch: int, maximum: int, basis_points: int) -> State:
    return {"epoch": epoch, "maximumFee": maximum, "transferFeeBasisPoints": basis_points}


def _interest_bearing_config(data: bytes) -> State:
    authority, initialized, average_rate, updated, rate = INTEREST_BEARING.unpack(data)
    return {
        "rateAuthority": _optional(authority),
        "initializationTimestamp": initialized,
        "preUpdateAverageRate": average_rate,
        "lastUpdateTimestamp": updated,
        "currentRate": rate,
    }


def _scaled_ui_amount_config(data: bytes) -> State:
    authority, multiplier, from_then_on, new_multiplier = SCALED_UI_AMOUNT.unpack(data)
    return {
        "authority": _optional(authority),
        "multiplier": _as_rust_writes(multiplier),
        "newMultiplierEffectiveTimestamp": from_then_on,
        "newMultiplier": _as_rust_writes(new_multiplier),
    }


def _as_rust_writes(number: float) -> str:
    """The shortest text that reads as this number, without an exponent."""
    text = f"{Decimal(repr(number)):f}" if number == number and abs(number) != float("inf") else str(number)
    return text.removesuffix(".0")


def _pausable_config(data: bytes) -> State:
    authority, paused = _PAUSABLE.unpack(data)
    return {"authority": _optional(authority), "paused": paused}


def _token_group(data: bytes) -> State:
    authority, mint, size, max_size = _TOKEN_GROUP.unpack(data)
    return {"updateAuthority": _optional(authority), "mint": str(Pubkey(mint)), "size": size, "maxSize": max_size}


def _token_group_member(data: bytes) -> State:
    mint, group, number = _TOKEN_GROUP_MEMBER.unpack(data)
    return {"mint": str(Pubkey(mint)), "group": str(Pubkey(group)), "memberNumber": number}


def _token_metadata(data: bytes) -> State:
    """Borsh: update authority, mint, three texts, then pairs of texts with their number before them."""
    name, offset = _text(data, 64)
    symbol, offset = _text(data, offset)
    uri, offset = _text(data, offset)
    number, offset = _U32.unpack_from(data, offset)[0], offset + _U32.size
    pairs = []
    for _ in range(number):
        key, offset = _text(data, offset)
        value, offset = _text(data, offset)
        pairs.append([key, value])
    return {
        "updateAuthority": _optional(data[:32]),
        "mint": str(Pubkey(data[32:64])),
        "name": name,
        "symbol": symbol,
        "uri": uri,
        "additionalMetadata": pairs,
    }


def _text(data: bytes, offset: int) -> tuple[str, int]:
    """The text at `offset` and where it ends."""
    start = offset + _U32.size
    end = start + _U32.unpack_from(data, offset)[0]
    return data[start:end].decode(errors="replace"), end


_WITHOUT_STATE: dict[int, str] = {
    AccountExtension.IMMUTABLE_OWNER: "immutableOwner",
    ExtensionType.NON_TRANSFERABLE: "nonTransferable",
    AccountExtension.NON_TRANSFERABLE_ACCOUNT: "nonTransferableAccount",
    AccountExtension.PAUSABLE_ACCOUNT: "pausableAccount",
}
_WITH_STATE: dict[int, tuple[str, Callable[[bytes], State]]] = {
    ExtensionType.TRANSFER_FEE_CONFIG: ("transferFeeConfig", _transfer_fee_config),
    AccountExtension.TRANSFER_FEE_AMOUNT: (
        "transferFeeAmount",
        lambda data: {"withheldAmount": _U64.unpack(data)[0]},
    ),
    ExtensionType.MINT_CLOSE_AUTHORITY: ("mintCloseAuthority", _one_key("closeAuthority")),
    ExtensionType.DEFAULT_ACCOUNT_STATE: ("defaultAccountState", lambda data: {"accountState": _STATES[data[0]]}),
    AccountExtension.MEMO_TRANSFER: ("memoTransfer", _flag("requireIncomingTransferMemos")),
    ExtensionType.INTEREST_BEARING_CONFIG: ("interestBearingConfig", _interest_bearing_config),
    AccountExtension.CPI_GUARD: ("cpiGuard", _flag("lockCpi")),
    ExtensionType.PERMANENT_DELEGATE: ("permanentDelegate", _one_key("delegate")),
    ExtensionType.TRANSFER_HOOK: ("transferHook", _authority_and("programId")),
    AccountExtension.TRANSFER_HOOK_ACCOUNT: ("transferHookAccount", _flag("transferring")),
    ExtensionType.METADATA_POINTER: ("metadataPointer", _authority_and("metadataAddress")),
    ExtensionType.TOKEN_METADATA: ("tokenMetadata", _token_metadata),
    ExtensionType.GROUP_POINTER: ("groupPointer", _authority_and("groupAddress")),
    ExtensionType.TOKEN_GROUP: ("tokenGroup", _token_group),
    ExtensionType.GROUP_MEMBER_POINTER: ("groupMemberPointer", _authority_and("memberAddress")),
    ExtensionType.TOKEN_GROUP_MEMBER: ("tokenGroupMember", _token_group_member),
    ExtensionType.SCALED_UI_AMOUNT: ("scaledUiAmountConfig", _scaled_ui_amount_config),
    ExtensionType.PAUSABLE: ("pausableConfig", _pausable_config),
}
