"""A chain at rest: everything that makes it go on where it stopped, in one file.

The file is read once: it is gone while the chain runs. After a crash there is none, and the chain begins from genesis
again, since one that came back with a part of its past would take landed transactions back.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from chalicelib.solana.accounts import Account
from infra.localnet.account_dumps import account_of_json
from infra.localnet.transaction_error import TransactionError
from infra.localnet.transaction_log import LandedTransaction

_FILE_NAME = "chain.snapshot"
_VERSION = 1


class InvalidSnapshotError(ValueError):
    """The file is no snapshot of this program's."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`accounts` are those that the chain has beyond a new runtime's; `landed_messages` the slots of message hashes."""

    genesis_hash: Hash
    first_slot: int
    slot: int
    unix_timestamp: int
    accounts: Mapping[Pubkey, Account]
    transactions: tuple[LandedTransaction, ...]
    landed_messages: Mapping[Hash, int]


@dataclass(frozen=True, slots=True)
class ForkOrigin:
    """The cluster that a chain was forked from, as it may be shown; `digest` tells its address and what was taken."""

    cluster: str
    digest: str


@dataclass(frozen=True, slots=True)
class SavedChain:
    """A snapshot with what the market around it needs to go on. `pools` are addresses with programs."""

    snapshot: Snapshot
    seed: int
    pools: tuple[tuple[Pubkey, Pubkey], ...]
    # Whether the pools are those of the genesis market, which has traders.
    is_genesis_market: bool
    # What it was forked from; None where it wasn't.
    fork: ForkOrigin | None = None
    # The bytecode of those that no emulation stands in for.
    programs: Mapping[Pubkey, bytes] = field(default_factory=dict)


def save(directory: Path, chain: SavedChain) -> None:
    """Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    snapshot = chain.snapshot
    content = {
        "version": _VERSION,
        "seed": chain.seed,
        "isGenesisMarket": chain.is_genesis_market,
        "fork": None if chain.fork is None else [chain.fork.cluster, chain.fork.digest],
        "pools": [[str(address), str(program)] for address, program in chain.pools],
        "programs": {str(address): _text(bytecode) for address, bytecode in chain.programs.items()},
        "genesisHash": str(snapshot.genesis_hash),
        "firstSlot": snapshot.first_slot,
        "slot": snapshot.slot,
        "unixTimestamp": snapshot.unix_timestamp,
        "accounts": {str(address): _account_to_json(account) for address, account in snapshot.accounts.items()},
        "transactions": [_transaction_to_json(landed) for landed in snapshot.transactions],
        "landedMessages": {str(message): slot for message, slot in snapshot.landed_messages.items()},
    }
    unfinished = directory / f"{_FILE_NAME}.new"
    unfinished.write_bytes(zlib.compress(json.dumps(content).encode(), level=1))
    unfinished.replace(directory / _FILE_NAME)


def take(directory: Path) -> SavedChain | None:
    """The saved chain, whose file is then gone; None where there is none. Raises InvalidSnapshotError, OSError."""
    file = directory / _FILE_NAME
    if not file.exists():
        return None
    try:
        content = json.loads(zlib.decompress(file.read_bytes()))
        if content["version"] != _VERSION:
            raise InvalidSnapshotError(f"{file} is of another version; --reset discards it")
        saved = SavedChain(
            snapshot=_snapshot_of_json(content),
            seed=content["seed"],
            pools=tuple((Pubkey.from_string(one), Pubkey.from_string(other)) for one, other in content["pools"]),
            is_genesis_market=content["isGenesisMarket"],
            fork=ForkOrigin(*content["fork"]) if content.get("fork") else None,
            programs={
                Pubkey.from_string(address): base64.b64decode(text)
                for address, text in content.get("programs", {}).items()
            },
        )
    except (zlib.error, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InvalidSnapshotError):
            raise
        raise InvalidSnapshotError(f"{file} can't be read; --reset discards it") from None
    file.unlink()
    return saved


def discard(directory: Path) -> None:
    (directory / _FILE_NAME).unlink(missing_ok=True)


def _snapshot_of_json(content: Mapping[str, Any]) -> Snapshot:
    return Snapshot(
        genesis_hash=Hash.from_string(content["genesisHash"]),
        first_slot=content["firstSlot"],
        slot=content["slot"],
        unix_timestamp=content["unixTimestamp"],
        accounts={Pubkey.from_string(key): account_of_json(value) for key, value in content["accounts"].items()},
        transactions=tuple(map(_transaction_of_json, content["transactions"])),
        landed_messages={Hash.from_string(message): slot for message, slot in content["landedMessages"].items()},
    )


def _account_to_json(account: Account) -> dict[str, Any]:
    return {
        "lamports": account.lamports,
        "owner": str(account.owner),
        "data": [_text(account.data), "base64"],
        "executable": account.executable,
    }


def _transaction_to_json(landed: LandedTransaction) -> list[Any]:
    return [
        str(landed.signature),
        landed.slot,
        landed.block_time,
        _text(landed.wire),
        _text(b"".join(map(bytes, landed.keys))),
        None if landed.error is None else landed.error.to_json,
        landed.memo,
        _text(landed.packed_meta),
    ]


def _transaction_of_json(fields: list[Any]) -> LandedTransaction:
    signature, slot, block_time, wire, keys, error, memo, meta = fields
    key_bytes = base64.b64decode(keys)
    return LandedTransaction(
        signature=Signature.from_string(signature),
        slot=slot,
        block_time=block_time,
        wire=base64.b64decode(wire),
        keys=tuple(Pubkey(key_bytes[start : start + 32]) for start in range(0, len(key_bytes), 32)),
        error=None if error is None else TransactionError.from_json(error),
        memo=memo,
        packed_meta=base64.b64decode(meta),
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
