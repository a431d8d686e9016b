"""Reads the market: every candidate pool's accounts and the clock from one slot, in one round trip once warm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Protocol

from solders.pubkey import Pubkey

from chalicelib.amounts import ceil_div
from chalicelib.problems import (
    AccountsMissing,
    ExecutionError,
    NoPool,
    RpcUnavailable,
    TokenNotTradable,
    TransientError,
)
from chalicelib.routing.quote import PoolAsRead, PoolOffer, ask_pools
from chalicelib.routing.router import Bridge, PairPools, Route, RouteLimits, best_routes
from chalicelib.routing.swap_plan import fits_a_transaction
from chalicelib.solana.accounts import CLOCK_LENGTH, CLOCK_SYSVAR, SYSVAR_OWNER, AccountMap, AccountsRead, ChainClock
from chalicelib.solana.tokens import NATIVE_MINT
from chalicelib.venues.pool_reader import PoolReader
from chalicelib.venues.registry import PoolRegistry, RegisteredPool
from chalicelib.venues.venue import Pool

# The tokens that most others trade against: ways over them are looked at besides the direct one.
USDC_MINT = Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v")
BRIDGE_MINTS = (NATIVE_MINT, USDC_MINT)

# How often quotes may ask for accounts further out than those around a pool's price. A swap that needs still more is
# through more accounts than a transaction can name.
MAX_DEEPER_READS = 2
MAX_LEGS = 4
# A clock of whole seconds tells nothing of fewer slots than this.
_SLOTS_TOLD_BY_THE_CLOCK = 4
# Lamports: enough to be paid for in any token, too little to move a price.
_SOL_SAMPLE = 10_000_000


class AccountSource(Protocol):
    def get_multiple_accounts(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        """All accounts, each as of the same slot or a later one."""


@dataclass(frozen=True, slots=True)
class Worth:
    """How one of a pair's tokens is valued in the reference currency: over the pools of each hop from it, if any."""

    mint: Pubkey
    hops: tuple[tuple[Pubkey, tuple[Pool, ...]], ...]


@dataclass(frozen=True, slots=True)
class PricedPair:
    """What the market gives for one pair and size, all from one read of the chain at `slot`.

    `slot_lag` is how many slots newer the chain was known to be when it was read, and `as_of_ms` when it was at `slot`.
    `offers` are the direct pools' own; `route` is the best that one transaction can carry, `other_routes` those that
    come next: the best of each other way, which are the pair's own pools and each third token. `pools` are all that
    were looked at. `worth` is None where no pools lead from either token to the reference currency, and `sol_worth`
    where none do from SOL. `besides` are accounts that were asked for with the pools'.
    """

    slot: int
    slot_lag: int
    as_of_ms: int
    offers: tuple[PoolOffer, ...]
    route: Route
    pools: PairPools
    worth: Worth | None
    other_routes: tuple[Route, ...] = ()
    sol_worth: Worth | None = None
    besides: AccountMap = field(default_factory=dict)


_Way = tuple[Pubkey, tuple[tuple[Pubkey, tuple[RegisteredPool, ...]], ...]]


@dataclass(frozen=True, slots=True)
class _Candidates:
    direct: tuple[RegisteredPool, ...]
    bridges: tuple[tuple[Pubkey, tuple[RegisteredPool, ...], tuple[RegisteredPool, ...]], ...]
    # the token that is valued, and from which token over which pools each hop to the reference currency leads
    valued: _Way | None
    # the same of SOL, in which the network's fees are paid
    sol_valued: _Way | None

    @property
    def all(self) -> tuple[RegisteredPool, ...]:
        """Each once."""
        traded = (*self.direct, *(pool for _, first, second in self.bridges for pool in (*first, *second)))
        ways = (way for way in (self.valued, self.sol_valued) if way is not None)
        valuing = (pool for _, hops in ways for _, pools in hops for pool in pools)
        return tuple({pool.address: pool for pool in (*traded, *valuing)}.values())


class Market:
    """What the registered pools offer now. Remembers only which accounts each pool needed last time.

    `reference_mint` is the token that orders are valued in.
    """

    def __init__(
        self,
        source: AccountSource,
        registry: PoolRegistry,
        now_ms: Callable[[], int],
        reference_mint: Pubkey = USDC_MINT,
    ) -> None:
        self._pools = PoolReader(source.get_multiple_accounts)
        self._registry = registry
        self._now_ms = now_ms
        self._reference_mint = reference_mint

    def price(
        self,
        mint_in: Pubkey,
        mint_out: Pubkey,
        amount: int,
        leg_lamports: int,
        *,
        without: frozenset[Pubkey] = frozenset(),
        floor: int = 0,
        besides: frozenset[Pubkey] = frozenset(),
    ) -> PricedPair:
        """Read every pool of the pair and of the ways over a third token, and route `amount` base units.

        `leg_lamports` is what one more leg in the transaction costs; a route must gain more than that by it. The pools
        `without` are left out as long as the others pay at least `floor` base units; else all are asked. `besides` are
        accounts to read with the pools.

        Raises:
            NoPool: none is registered for the pair, nor for a way over a third token.
            TokenNotTradable: one of the pair's own mints keeps every pool from trading it.
            ExecutionError: none quotes; the most telling reason.
            RpcUnavailable: the chain can't be read.
            VenueUnavailable: the pools' accounts kept changing between reads.
        """
        candidates = self._candidates(mint_in, mint_out)
        attempts = count()

        def priced(read: AccountsRead) -> PricedPair:
            read_at_ms, deeper_reads = self._now_ms(), next(attempts)
            pools = _decode(candidates, read.accounts, mint_in, mint_out)
            if deeper_reads >= MAX_DEEPER_READS:
                pools = _as_read(pools)
            offers = ask_pools(pools.direct, mint_in, amount, pools.clock)
            leg_cost = _leg_cost(pools, amount, offers, leg_lamports)
            limits = RouteLimits(MAX_LEGS, leg_cost, fits_a_transaction)
            routes = _routes_without(pools, without, amount, limits, floor) or best_routes(pools, amount, limits)
            worth, sol_worth = (
                _decode_worth(way, read.accounts, pools) for way in (candidates.valued, candidates.sol_valued)
            )
            slot_lag = max(0, read.newest_slot - read.slot)
            return PricedPair(
                slot=read.slot,
                slot_lag=slot_lag,
                as_of_ms=read_at_ms - _age_ms(read, slot_lag, pools.clock, read_at_ms),
                offers=offers,
                route=routes[0],
                pools=pools,
                worth=worth,
                other_routes=routes[1:],
                sol_worth=sol_worth,
                besides={address: read.accounts[address] for address in besides},
            )

        places = [(pool.venue, pool.address) for pool in candidates.all]
        return self._pools.read(places, priced, besides=besides | {CLOCK_SYSVAR})

    def _candidates(self, mint_in: Pubkey, mint_out: Pubkey) -> _Candidates:
        """Raises NoPool."""
        bridges = []
        for mint in BRIDGE_MINTS:
            if mint in (mint_in, mint_out):
                continue
            first, second = self._registry.for_pair(mint_in, mint), self._registry.for_pair(mint, mint_out)
            if first and second:
                bridges.append((mint, first, second))
        direct = self._registry.for_pair(mint_in, mint_out)
        if not direct and not bridges:
            raise NoPool("no pool trades this pair")
        valued = self._valued(mint_in) or self._valued(mint_out)
        return _Candidates(direct, tuple(bridges), valued, self._valued(NATIVE_MINT))

    def _valued(self, mint: Pubkey) -> _Way | None:
        """The ways from `mint` to the reference currency: none needed, its own pools, or those over SOL; else None."""
        if mint == self._reference_mint:
            return mint, ()
        if own := self._registry.for_pair(mint, self._reference_mint):
            return mint, ((mint, own),)
        to_sol = self._registry.for_pair(mint, NATIVE_MINT)
        from_sol = self._registry.for_pair(NATIVE_MINT, self._reference_mint)
        return (mint, ((mint, to_sol), (NATIVE_MINT, from_sol))) if to_sol and from_sol else None


def _decode(candidates: _Candidates, accounts: AccountMap, mint_in: Pubkey, mint_out: Pubkey) -> PairPools:
    """All candidates decoded. One that can't be is passed over as long as any other can; else an error is raised.

    Of several the one about the pair's own tokens, which no pool can trade then; or one that may pass.
    """
    failures: list[ExecutionError] = []
    direct = _decode_each(candidates.direct, accounts, failures)
    bridges = tuple(
        Bridge(mint, _decode_each(first, accounts, failures), _decode_each(second, accounts, failures))
        for mint, first, second in candidates.bridges
    )
    if failures and not direct and not any(bridge.first and bridge.second for bridge in bridges):
        pair = (str(mint_in), str(mint_out))
        hopeless = (error for error in failures if isinstance(error, TokenNotTradable) and error.mint in pair)
        passing = (error for error in failures if isinstance(error, TransientError))
        raise next(hopeless, None) or next(passing, failures[0])
    return PairPools(mint_in, mint_out, direct, bridges, _clock_of(accounts))


def _routes_without(
    pools: PairPools, refused: frozenset[Pubkey], amount: int, limits: RouteLimits, floor: int
) -> tuple[Route, ...]:
    """The routes, best first, that pay at least `floor` base units without any of the pools `refused`."""
    if not refused:
        return ()

    def sound(among: tuple[Pool, ...]) -> tuple[Pool, ...]:
        return tuple(pool for pool in among if pool.address not in refused)

    bridges = tuple(Bridge(bridge.mint, sound(bridge.first), sound(bridge.second)) for bridge in pools.bridges)
    try:
        routes = best_routes(replace(pools, direct=sound(pools.direct), bridges=bridges), amount, limits)
    except AccountsMissing:
        raise
    except ExecutionError:
        return ()
    return tuple(route for route in routes if route.amount_out >= floor)


def _decode_worth(way: _Way | None, accounts: AccountMap, traded: PairPools) -> Worth | None:
    """The pools that value a token, those that are decoded already as they are. One that can't be is left out."""
    if way is None:
        return None
    decoded = {pool.address: pool for bridge in traded.bridges for pool in (*bridge.first, *bridge.second)}
    decoded |= {pool.address: pool for pool in traded.direct}

    def pool_of(one: RegisteredPool) -> tuple[Pool, ...]:
        known = decoded.get(one.address)
        return _decode_each((one,), accounts, []) if known is None else (known,)

    mint, hops = way
    return Worth(mint, tuple((at, tuple(pool for one in pools for pool in pool_of(one))) for at, pools in hops))


def _as_read(pools: PairPools) -> PairPools:
    """The same pools, none of which asks for further accounts any more."""
    bridges = (
        replace(bridge, first=tuple(map(PoolAsRead, bridge.first)), second=tuple(map(PoolAsRead, bridge.second)))
        for bridge in pools.bridges
    )
    return replace(pools, direct=tuple(map(PoolAsRead, pools.direct)), bridges=tuple(bridges))


def _decode_each(
    pools: Sequence[RegisteredPool], accounts: AccountMap, failures: list[ExecutionError]
) -> tuple[Pool, ...]:
    decoded: list[Pool] = []
    for pool in pools:
        try:
            decoded.append(pool.venue.decode(pool.address, accounts))
        except AccountsMissing:
            raise
        except ExecutionError as error:
            failures.append(error)
    return tuple(decoded)


def _age_ms(read: AccountsRead, slot_lag: int, clock: ChainClock, now_ms: int) -> int:
    """How old what was read was then: by the slots, or by the clock that was read with it, where slots don't tell.

    The clock has whole seconds, and follows the validators' clocks: it is good for telling old from new.
    """
    if read.age_ms is not None:
        return read.age_ms
    return max(0, now_ms - clock.unix_timestamp * 1000) if slot_lag > _SLOTS_TOLD_BY_THE_CLOCK else 0


def _clock_of(accounts: AccountMap) -> ChainClock:
    account = accounts[CLOCK_SYSVAR]
    if account is None or account.owner != SYSVAR_OWNER or len(account.data) != CLOCK_LENGTH:
        raise RpcUnavailable("the Solana node's clock can't be read")
    return ChainClock.decode(account.data)


def _leg_cost(pools: PairPools, amount: int, offers: Sequence[PoolOffer], lamports: int) -> int:
    """`lamports` in base units of the output, rounded up, at least 1: at what SOL's pools pay for some, or the pair's.

    Not at mid prices: an empty pool has one too, and it may be anything.
    """
    if pools.mint_out == NATIVE_MINT:
        return max(lamports, 1)
    if pools.mint_in == NATIVE_MINT:
        sold = amount
    else:
        sold = _SOL_SAMPLE
        over_sol = (pool for bridge in pools.bridges if bridge.mint == NATIVE_MINT for pool in bridge.second)
        offers = ask_pools(over_sol, NATIVE_MINT, sold, pools.clock)
    bought = max((offer.quote.amount_out for offer in offers if offer.quote is not None), default=0)
    return max(ceil_div(lamports * bought, sold), 1)
