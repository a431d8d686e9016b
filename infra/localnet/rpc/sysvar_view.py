"""Sysvars in the `jsonParsed` form. Source: anza-xyz/agave, account-decoder/src/parse_sysvar.rs."""

from __future__ import annotations

import struct
from collections.abc import Callable
from struct import Struct
from typing import Any

from solders.hash import Hash
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import CLOCK_SYSVAR, SYSVAR_OWNER, Account

# Layouts: the sysvar crates of anza-xyz/solana-sdk, by bincode: little-endian, a list after its length as u64.
_CLOCK = Struct("<QqQQq")
_EPOCH_SCHEDULE = Struct("<QQ?QQ")
_RENT = Struct("<QdB")
_LENGTH = Struct("<Q")
_SLOT_HASH = Struct("<Q32s")
_BLOCKHASH = Struct("<32sQ")
_STAKE_HISTORY = Struct("<QQQQ")
_LAST_RESTART_SLOT = Struct("<Q")
# distribution_starting_block_height, num_partitions, parent_blockhash, total_points u128, total_rewards,
# distributed_rewards, active
_EPOCH_REWARDS = Struct("<QQ32s16sQQ?")
# SlotHistory: a tag, how many words, the words, how many bits, the next slot.
_WORDS = Struct("<BQ")
_AFTER_WORDS = Struct("<QQ")

Info = dict[str, Any] | list[dict[str, Any]]


def parsed_sysvar(address: Pubkey, account: Account) -> dict[str, Any] | None:
    """None where `address` is no sysvar that a node parses."""
    known = _PARSERS.get(address)
    if known is None or account.owner != SYSVAR_OWNER:
        return None
    name, parse = known
    try:
        info = parse(account.data)
    except struct.error:
        return None
    return {"program": "sysvar", "parsed": {"type": name, "info": info}, "space": len(account.data)}


def _clock(data: bytes) -> Info:
    slot, epoch_start, epoch, schedule_epoch, now = _CLOCK.unpack_from(data)
    return {
        "slot": slot,
        "epoch": epoch,
        "epochStartTimestamp": epoch_start,
        "leaderScheduleEpoch": schedule_epoch,
        "unixTimestamp": now,
    }


def _epoch_schedule(data: bytes) -> Info:
    slots, offset, warmup, first_epoch, first_slot = _EPOCH_SCHEDULE.unpack_from(data)
    return {
        "slotsPerEpoch": slots,
        "leaderScheduleSlotOffset": offset,
        "warmup": warmup,
        "firstNormalEpoch": first_epoch,
        "firstNormalSlot": first_slot,
    }


def _rent(data: bytes) -> Info:
    per_byte_year, threshold, burn = _RENT.unpack_from(data)
    return {"lamportsPerByteYear": str(per_byte_year), "exemptionThreshold": threshold, "burnPercent": burn}


def _slot_hashes(data: bytes) -> Info:
    return [{"slot": slot, "hash": str(Hash(of_block))} for slot, of_block in _listed(_SLOT_HASH, data)]


def _recent_blockhashes(data: bytes) -> Info:
    return [
        {"blockhash": str(Hash(blockhash)), "feeCalculator": {"lamportsPerSignature": str(fee)}}
        for blockhash, fee in _listed(_BLOCKHASH, data)
    ]


def _stake_history(data: bytes) -> Info:
    return [
        {
            "epoch": epoch,
            "stakeHistory": {"effective": effective, "activating": activating, "deactivating": deactivating},
        }
        for epoch, effective, activating, deactivating in _listed(_STAKE_HISTORY, data)
    ]


def _slot_history(data: bytes) -> Info:
    has_words, words = _WORDS.unpack_from(data)
    start = _WORDS.size if has_words else 1
    end = start + 8 * (words if has_words else 0)
    bits, next_slot = _AFTER_WORDS.unpack_from(data, end)
    # Slot by slot, the least significant bit first.
    text = f"{int.from_bytes(data[start:end], 'little'):0{bits}b}"[::-1] if bits else ""
    return {"nextSlot": next_slot, "bits": text}


def _last_restart_slot(data: bytes) -> Info:
    return {"lastRestartSlot": _LAST_RESTART_SLOT.unpack_from(data)[0]}


def _epoch_rewards(data: bytes) -> Info:
    height, partitions, parent, points, total, distributed, active = _EPOCH_REWARDS.unpack_from(data)
    return {
        "distributionStartingBlockHeight": height,
        "numPartitions": partitions,
        "parentBlockhash": str(Hash(parent)),
        "totalPoints": str(int.from_bytes(points, "little")),
        "totalRewards": str(total),
        "distributedRewards": str(distributed),
        "active": active,
    }


def _listed(entry: Struct, data: bytes) -> list[tuple[Any, ...]]:
    (count,) = _LENGTH.unpack_from(data)
    return [entry.unpack_from(data, _LENGTH.size + index * entry.size) for index in range(count)]


_PARSERS: dict[Pubkey, tuple[str, Callable[[bytes], Info]]] = {
    CLOCK_SYSVAR: ("clock", _clock),
    Pubkey.from_string("SysvarEpochSchedu1e111111111111111111111111"): ("epochSchedule", _epoch_schedule),
    Pubkey.from_string("SysvarRent111111111111111111111111111111111"): ("rent", _rent),
    Pubkey.from_string("SysvarS1otHashes111111111111111111111111111"): ("slotHashes", _slot_hashes),
    Pubkey.from_string("SysvarRecentB1ockHashes11111111111111111111"): ("recentBlockhashes", _recent_blockhashes),
    Pubkey.from_string("SysvarStakeHistory1111111111111111111111111"): ("stakeHistory", _stake_history),
    Pubkey.from_string("SysvarS1otHistory11111111111111111111111111"): ("slotHistory", _slot_history),
    Pubkey.from_string("SysvarLastRestartS1ot1111111111111111111111"): ("lastRestartSlot", _last_restart_slot),
    Pubkey.from_string("SysvarEpochRewards1111111111111111111111111"): ("epochRewards", _epoch_rewards),
}
