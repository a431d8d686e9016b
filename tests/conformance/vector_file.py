"""Reads files of swaps that were run on the real programs: pools with their accounts, and cases with the results."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account, AccountsRead, ChainClock

# Each program's flag for the direction of a swap, and the roles of the mints that go in where it is set and where not.
_MINTS: Mapping[str, tuple[str, str]] = {
    "zero_for_one": ("mint0", "mint1"),
    "x_to_y": ("mint_x", "mint_y"),
    "a_to_b": ("mint_a", "mint_b"),
    "coin_to_pc": ("coin_mint", "pc_mint"),
}


@dataclass(frozen=True)
class VectorPool:
    """A pool as it was on the chain: `roles` names its accounts, `accounts` holds those that existed."""

    name: str
    roles: Mapping[str, Any]
    accounts: Mapping[Pubkey, Account]
    clock: Any

    @property
    def address(self) -> Pubkey:
        return Pubkey.from_string(self.roles["address"])

    def read(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        """As a node would be read that holds just these accounts."""
        return AccountsRead(0, {address: self.accounts.get(address) for address in addresses})


@dataclass(frozen=True)
class VectorCase:
    """One exact-in swap and what the program made of it. `kind` says what is special about the case.

    What a file leaves out of a case is as usual: the pool's clock, no floor, the kind "size". A `result` says what the
    swap changed besides the amounts in names of the program's own; numbers that outgrow 64 bits are strings.
    """

    name: str
    pool: VectorPool
    clock: ChainClock
    mint_in: Pubkey
    amount_in: int
    min_out: int
    kind: str
    result: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        return bool(self.result["ok"])


@dataclass(frozen=True)
class VectorFile:
    """`program` is the swap program's address."""

    path: Path
    content: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> VectorFile:
        """A file of JSON, compressed if its name ends in .gz.

        Raises OSError, ValueError and KeyError where the file is not one of this format.
        """
        content = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
        for part in ("meta", "pools", "cases"):
            if part not in content:
                raise ValueError(f"{path} has no {part!r}")
        return cls(path, content)

    @property
    def program(self) -> Pubkey:
        return Pubkey.from_string(self.content["meta"]["program"])

    @cached_property
    def pools(self) -> dict[str, VectorPool]:
        return {name: _pool(name, pool) for name, pool in self.content["pools"].items()}

    @cached_property
    def cases(self) -> list[VectorCase]:
        return [self._case(case) for case in self.content["cases"]]

    def _case(self, case: Mapping[str, Any]) -> VectorCase:
        pool = self.pools[case["pool"]]
        return VectorCase(
            name=str(case["id"]),
            pool=pool,
            clock=_clock(case.get("clock", pool.clock)),
            mint_in=_mint_in(case, pool.roles),
            # The raw strings are exact whatever wrote the numbers.
            amount_in=int(case.get("raw_in") or case["amount_in"]),
            min_out=int(case.get("min_out") or 0),
            kind=str(case.get("kind", "size")),
            result=case["result"],
        )


def _mint_in(case: Mapping[str, Any], roles: Mapping[str, Any]) -> Pubkey:
    """What the case names, or what its direction flag says. Raises ValueError where the two differ, or neither is."""
    said = {str(roles[_MINTS[flag][0 if case[flag] else 1]]) for flag in _MINTS.keys() & case.keys()}
    if "mint_in" in case:
        said.add(case["mint_in"])
    if len(said) != 1:
        raise ValueError(f"case {case['id']} names {len(said)} mints that go in")
    return Pubkey.from_string(said.pop())


def _pool(name: str, pool: Mapping[str, Any]) -> VectorPool:
    accounts = {Pubkey.from_string(address): _account(content) for address, content in pool["accounts"].items()}
    return VectorPool(name, pool["roles"], accounts, pool.get("clock", pool.get("default_clock")))


def _account(content: Mapping[str, Any]) -> Account:
    data = content["data"]
    if isinstance(data, list):  # as RPC nodes write it, with its encoding
        data = data[0]
    return Account(
        owner=Pubkey.from_string(content["owner"]),
        lamports=int(content["lamports"]),
        data=base64.b64decode(data),
        executable=bool(content.get("executable", False)),
    )


def _clock(clock: Any) -> ChainClock:
    """A mapping, or the list of timestamp, slot and epoch."""
    if isinstance(clock, Mapping):
        timestamp, slot, epoch = clock["unix_timestamp"], clock["slot"], clock["epoch"]
    else:
        timestamp, slot, epoch = clock
    return ChainClock(slot=int(slot), epoch=int(epoch), unix_timestamp=int(timestamp))
