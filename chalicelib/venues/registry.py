"""Which pools exist for a pair. The registry lists addresses and programs; everything else is read from the chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from solders.pubkey import Pubkey

from chalicelib.problems import VenueUnavailable
from chalicelib.solana.accounts import AccountMap
from chalicelib.solana.signing_policy import TradablePool
from chalicelib.venues.venue import Venue


@dataclass(frozen=True, slots=True, order=True)
class PoolEntry:
    """A line of the registry: base58 addresses of the pool and of its program.

    `counts`: whether reference prices and values may come from it. Those don't that no operator has added.
    """

    address: str
    program: str
    counts: bool = True


@dataclass(frozen=True, slots=True)
class RegisteredPool:
    """A pool whose tokens are known."""

    address: Pubkey
    venue: Venue
    mints: tuple[Pubkey, Pubkey]
    counts: bool = True


class PoolRegistry:
    """The registered pools by pair. What a pool trades never changes, so it is read from the chain once.

    `load` gives the registry's lines; they are loaded again when older than `max_age_ms`.
    """

    def __init__(
        self,
        load: Callable[[], Iterable[PoolEntry]],
        read_accounts: Callable[[Sequence[Pubkey]], AccountMap],
        venues: Iterable[Venue],
        now_ms: Callable[[], int],
        max_age_ms: int = 30_000,
    ) -> None:
        self._load = load
        self._read_accounts = read_accounts
        self._venues = {str(venue.program_id): venue for venue in venues}
        self._now_ms = now_ms
        self._max_age_ms = max_age_ms
        self._known: dict[str, RegisteredPool] = {}
        self._pools: tuple[RegisteredPool, ...] = ()
        self._by_pair: dict[frozenset[Pubkey], tuple[RegisteredPool, ...]] = {}
        self._loaded_at_ms: int | None = None

    def pools(self) -> tuple[RegisteredPool, ...]:
        """Every registered pool of a venue that Fillrate knows. Raises RpcUnavailable."""
        now_ms = self._now_ms()
        if self._loaded_at_ms is None or now_ms - self._loaded_at_ms > self._max_age_ms:
            entries = [entry for entry in self._load() if entry.program in self._venues]
            self._learn([entry for entry in entries if entry.address not in self._known])
            self._pools = _operators_first(
                replace(self._known[entry.address], counts=entry.counts)
                for entry in entries
                if entry.address in self._known
            )
            by_pair: dict[frozenset[Pubkey], list[RegisteredPool]] = {}
            for pool in self._pools:
                by_pair.setdefault(frozenset(pool.mints), []).append(pool)
            self._by_pair = {pair: tuple(pools) for pair, pools in by_pair.items()}
            self._loaded_at_ms = now_ms
        return self._pools

    def for_pair(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[RegisteredPool, ...]:
        """The pools that trade the two mints, either way round, in the registry's order. Raises RpcUnavailable."""
        self.pools()
        return self._by_pair.get(frozenset((mint_a, mint_b)), ())

    def tradable(self) -> dict[Pubkey, TradablePool]:
        """The pools by address, for the signing policy. Raises RpcUnavailable."""
        return {pool.address: TradablePool(pool.venue.program_id, pool.mints) for pool in self.pools()}

    def mints(self) -> frozenset[Pubkey]:
        """Every mint that some registered pool trades. Raises RpcUnavailable."""
        return frozenset(mint for pool in self.pools() for mint in pool.mints)

    def _learn(self, entries: Sequence[PoolEntry]) -> None:
        addresses = {entry: address for entry in entries if (address := _address_of(entry)) is not None}
        if not addresses:
            return
        accounts = self._read_accounts(tuple(addresses.values()))
        for entry, address in addresses.items():
            venue = self._venues[entry.program]
            try:
                mints = venue.mints(address, accounts)
            except VenueUnavailable:
                continue  # not there yet, or not such a pool: it is asked again at the next load
            self._known[entry.address] = RegisteredPool(address, venue, mints)


def _operators_first(pools: Iterable[RegisteredPool]) -> tuple[RegisteredPool, ...]:
    """Those that operators added, and then the others of the same pairs: these bring in no token, and no pair."""
    listed = tuple(pools)
    counted = tuple(pool for pool in listed if pool.counts)
    pairs = {frozenset(pool.mints) for pool in counted}
    return counted + tuple(pool for pool in listed if not pool.counts and frozenset(pool.mints) in pairs)


def _address_of(entry: PoolEntry) -> Pubkey | None:
    """None where the line is no address: one bad line must not take all other pools down with it."""
    try:
        return Pubkey.from_string(entry.address)
    except ValueError:
        return None
