"""Reads the market: every candidate pool's accounts and the clock from one slot, in one round trip once warm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from solders.pubkey import Pubkey

from chalicelib.problems import AccountsMissing, ExecutionError, NoPool, VenueUnavailable
from chalicelib.routing.quote import PoolOffer, ask_pools
from chalicelib.solana.accounts import CLOCK_SYSVAR, Account, AccountMap, ChainClock
from chalicelib.venues.registry import PoolRegistry, RegisteredPool
from chalicelib.venues.venue import Pool

# Each round names what the last one's accounts pointed to: pool, its vaults and arrays, arrays further out, …
MAX_READS = 6


class AccountsRead(Protocol):
    @property
    def slot(self) -> int: ...

    @property
    def accounts(self) -> Mapping[Pubkey, Account | None]: ...


class AccountSource(Protocol):
    def get_multiple_accounts(self, addresses: Sequence[Pubkey]) -> AccountsRead:
        """All accounts, each as of the same slot or a later one."""


@dataclass(frozen=True, slots=True)
class MarketOffers:
    """All pools' offers for one pair and size, from one read of the chain at `slot`."""

    slot: int
    clock: ChainClock
    offers: tuple[PoolOffer, ...]


class Market:
    """What the registered pools offer now. Remembers only which accounts each pool needed last time."""

    def __init__(self, source: AccountSource, registry: PoolRegistry) -> None:
        self._source = source
        self._registry = registry
        self._needed: dict[Pubkey, frozenset[Pubkey]] = {}

    def offers(self, mint_in: Pubkey, mint_out: Pubkey, amount_in: int) -> MarketOffers:
        """Every pool's offer for exactly `amount_in` base units of `mint_in`.

        Raises:
            NoPool: none is registered for the pair.
            RpcUnavailable: the chain can't be read.
            VenueUnavailable: the pools' accounts kept changing between reads.
        """
        candidates = self._registry.for_pair(mint_in, mint_out)
        if not candidates:
            raise NoPool("no pool trades this pair")
        wanted = {CLOCK_SYSVAR}
        for pool in candidates:
            wanted |= self._needed.get(pool.address, frozenset({pool.address}))
        for _ in range(MAX_READS):
            read = self._source.get_multiple_accounts(sorted(wanted, key=bytes))
            accounts = read.accounts
            needed = {CLOCK_SYSVAR}.union(*(self._accounts_needed(pool, accounts) for pool in candidates))
            if not needed <= accounts.keys():
                wanted = needed
                continue
            clock = _clock_of(accounts)
            try:
                offers = _offers_of(candidates, accounts, mint_in, amount_in, clock)
            except AccountsMissing as error:
                wanted = needed | {Pubkey.from_string(address) for address in error.addresses}
                continue
            return MarketOffers(read.slot, clock, offers)
        raise VenueUnavailable("the pools' accounts changed at every read")

    def _accounts_needed(self, pool: RegisteredPool, accounts: AccountMap) -> frozenset[Pubkey]:
        try:
            needed = pool.venue.accounts_needed(pool.address, accounts)
        except ExecutionError:
            needed = frozenset({pool.address})  # decoding it says what is wrong
        self._needed[pool.address] = needed
        return needed


def _clock_of(accounts: AccountMap) -> ChainClock:
    account = accounts[CLOCK_SYSVAR]
    if account is None:
        raise VenueUnavailable("the chain has no clock")
    return ChainClock.decode(account.data)


def _offers_of(
    candidates: Sequence[RegisteredPool], accounts: AccountMap, mint_in: Pubkey, amount_in: int, clock: ChainClock
) -> tuple[PoolOffer, ...]:
    """A pool that can't be decoded is passed over as long as another can; with none left, its error is raised."""
    pools: list[Pool] = []
    failure: ExecutionError | None = None
    for candidate in candidates:
        try:
            pools.append(candidate.venue.decode(candidate.address, accounts))
        except AccountsMissing:
            raise
        except ExecutionError as error:
            failure = error
    if not pools and failure is not None:
        raise failure
    return ask_pools(pools, mint_in, amount_in, clock)
