"""Reads the market: the candidate pools' accounts and the clock from one slot, in one round trip once warm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import count
from typing import Protocol, TypeVar

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
from chalicelib.routing.candidates import KnownDepths, within_accounts
from chalicelib.routing.many_amounts import ManyAmounts
from chalicelib.routing.quote import MAX_REMAINING_ACCOUNTS, LegLimits, PoolAsRead, PoolOffer, ask_pools
from chalicelib.routing.router import Bridge, PairPools, Route, RouteLimits, best_routes
from chalicelib.routing.swap_plan import TransactionRoom
from chalicelib.solana.accounts import CLOCK_LENGTH, CLOCK_SYSVAR, SYSVAR_OWNER, AccountMap, AccountsRead, ChainClock
from chalicelib.solana.tokens import NATIVE_MINT
from chalicelib.solana.transaction import TransactionVersion
from chalicelib.venues.pool_reader import PoolReader
from chalicelib.venues.registry import PoolRegistry, RegisteredPool
from chalicelib.venues.venue import Pool

# The tokens that most others trade against: ways over them are looked at besides the direct one.
USDC_MINT = Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v")
USDT_MINT = Pubkey.from_string("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
BRIDGE_MINTS = (NATIVE_MINT, USDC_MINT, USDT_MINT)

# How often quotes may ask for accounts further out than those around a pool's price. A swap that needs still more is
# through more accounts than a transaction can name.
MAX_DEEPER_READS = 1
# How many accounts a plan reads; pools for which there is no room are not looked at.
MAX_ACCOUNTS = 300
# How many legs a route may have in a transaction of each version: as many as fit where all are of the smallest kind.
MAX_LEGS: dict[TransactionVersion, int] = {0: 4, 1: 12}
# A clock of whole seconds tells nothing of fewer slots than this.
_SLOTS_TOLD_BY_THE_CLOCK = 4
# Lamports: enough to be paid for in any token, too little to move a price.
_SOL_SAMPLE = 10_000_000


class AccountSource(Protocol):
    def get_multiple_accounts(self, addresses: Iterable[Pubkey]) -> AccountsRead:
        """All accounts, each as of the same slot or a later one."""


class PoolsRead(Protocol):
    """Reads accounts for a swap over some of these pools."""

    def __call__(self, addresses: Sequence[Pubkey], *, pools: Sequence[Pubkey]) -> AccountsRead:
        """All accounts, each as of the same slot or a later one."""


@dataclass(frozen=True, slots=True)
class Worth:
    """How one of a pair's tokens is valued in the reference currency: over the pools of each hop from it, if any."""

    mint: Pubkey
    hops: tuple[tuple[Pubkey, tuple[Pool, ...]], ...]


@dataclass(frozen=True, slots=True)
class UnreadablePool:
    """A pool of the pair's own that takes no part, and why: a frozen vault, a paused mint, no pool at all."""

    program: str
    dex: str
    address: Pubkey
    refusal: ExecutionError


@dataclass(frozen=True, slots=True)
class PricedPair:
    """What the market gives for one pair and size, all from one read of the chain at `slot`.

    `slot_lag` is how many slots newer the chain was known to be when it was read, and `as_of_ms` when it was at `slot`.
    `offers` are the direct pools' own; `route` is the best that one transaction can carry, `other_routes` those that
    come next: the best of each other way, which are the pair's own pools and each third token. `pools` are all that
    were looked at. `worth` is None where no pools lead from either token to the reference currency, and `sol_worth`
    where none do from SOL. `besides` are accounts that were asked for with the pools'. `unreadable` are the direct
    pools that make no offer because they can't be traded at all.
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
    unreadable: tuple[UnreadablePool, ...] = ()
    not_looked_at: tuple[RegisteredPool, ...] = ()


@dataclass(frozen=True, slots=True)
class PairLook:
    """What a pair's market pays at `slot`, by the token that is sold. The other fields are as in PricedPair.

    `price` gives what `Market.price` would for an amount of one of the two tokens, but for what values it; it raises as
    that does, and AccountsMissing where more has to be read.
    """

    slot: int
    slot_lag: int
    as_of_ms: int
    sides: Mapping[Pubkey, ManyAmounts]
    price: Callable[[Pubkey, int], PricedPair]


T = TypeVar("T")
_Way = tuple[Pubkey, tuple[tuple[Pubkey, tuple[RegisteredPool, ...]], ...]]


@dataclass(frozen=True, slots=True)
class _Candidates:
    direct: tuple[RegisteredPool, ...]
    bridges: tuple[tuple[Pubkey, tuple[RegisteredPool, ...], tuple[RegisteredPool, ...]], ...]
    # the token that is valued, and from which token over which pools each hop to the reference currency leads
    valued: _Way | None
    # the same of SOL, in which the network's fees are paid
    sol_valued: _Way | None
    # registered for the pair or for a hop, to be read or not
    listed: tuple[RegisteredPool, ...]

    @property
    def traded(self) -> tuple[Pubkey, ...]:
        """Those that a swap most likely goes over: the pair's own, or where there are none those over a third token."""
        others = (pool for _, first, second in self.bridges for pool in (*first, *second))
        return tuple(dict.fromkeys(pool.address for pool in (self.direct or others)))

    @property
    def all(self) -> tuple[RegisteredPool, ...]:
        """Each once."""
        traded = (*self.direct, *(pool for _, first, second in self.bridges for pool in (*first, *second)))
        ways = (way for way in (self.valued, self.sol_valued) if way is not None)
        valuing = (pool for _, hops in ways for _, pools in hops for pool in pools)
        return tuple({pool.address: pool for pool in (*traded, *valuing)}.values())

    @property
    def left_out(self) -> tuple[RegisteredPool, ...]:
        """Registered for the pair or for a hop, and not to be read."""
        read = {pool.address for pool in self.all}
        return tuple(pool for pool in self.listed if pool.address not in read)

    @property
    def uncounted(self) -> frozenset[Pubkey]:
        return frozenset(pool.address for pool in self.all if not pool.counts)


class Market:
    """What the registered pools offer now. Remembers which accounts each pool needed last time, and how deep it was.

    `reference_mint` is the token that orders are valued in. A route is one that a transaction of this `version` can
    carry, with a tip where one is paid.
    """

    def __init__(
        self,
        source: AccountSource,
        registry: PoolRegistry,
        now_ms: Callable[[], int],
        reference_mint: Pubkey = USDC_MINT,
        version: TransactionVersion = 1,
        *,
        with_tip: bool = False,
    ) -> None:
        self._version = version
        self._with_tip = with_tip
        self._pools = PoolReader(source.get_multiple_accounts)
        self._registry = registry
        self._now_ms = now_ms
        self._reference_mint = reference_mint
        self._depths = KnownDepths()

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
        version: TransactionVersion | None = None,
        read: PoolsRead | None = None,
    ) -> PricedPair:
        """Read the deepest pools of the pair and of the ways over a third token, and route `amount` base units.

        `leg_lamports` is what one more leg in the transaction costs; a route must gain more than that by it. The pools
        `without` are left out as long as the others pay at least `floor` base units; else all are asked. `besides` are
        accounts to read with the pools. `version` is the transaction's, where it isn't the market's own. `read` reads
        the accounts in place of the market's source, and is told the pools that a swap may go over.

        Raises:
            NoPool: none is registered for the pair, nor for a way over a third token.
            TokenNotTradable: one of the pair's own mints keeps every pool from trading it.
            ExecutionError: none quotes; the most telling reason.
            RpcUnavailable: the chain can't be read.
            VenueUnavailable: the pools' accounts kept changing between reads.
        """
        candidates = self._candidates(mint_in, mint_out, MAX_ACCOUNTS - len(besides) - 1)
        attempts = count()

        def priced(read: AccountsRead) -> PricedPair:
            read_at_ms, deeper_reads = self._now_ms(), next(attempts)
            pools, unreadable = _decode(candidates, read.accounts, mint_in, mint_out)
            if deeper_reads >= MAX_DEEPER_READS:
                pools = _as_read(pools)
            offers = ask_pools(pools.direct, mint_in, amount, pools.clock)
            leg_cost = _leg_cost(pools, amount, offers, leg_lamports)
            limits = self._limits(self._version if version is None else version, leg_cost)
            routes = _routes_without(pools, without, amount, limits, floor) or best_routes(pools, amount, limits)
            worth, sol_worth = (
                _decode_worth(way, read.accounts, pools) for way in (candidates.valued, candidates.sol_valued)
            )
            if candidates.left_out:
                self._depths.measure(pools, read_at_ms)
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
                unreadable=unreadable,
                not_looked_at=candidates.left_out,
            )

        places = [(pool.venue, pool.address) for pool in candidates.all]
        reader = None if read is None else partial(read, pools=candidates.traded)
        return self._pools.read(places, priced, besides=besides | {CLOCK_SYSVAR}, read_accounts=reader)

    def worths(self, mints: Iterable[Pubkey]) -> tuple[dict[Pubkey, Worth], ChainClock]:
        """How each of these tokens is valued in the reference currency, and the clock, all from one read of the chain.

        A token is left out to which no pools lead. Raises RpcUnavailable and VenueUnavailable as `price`.
        """
        ways = {mint: way for mint in mints if (way := self._valued(mint)) is not None}
        pools = {pool.address: pool for _, hops in ways.values() for _, of_hop in hops for pool in of_hop}

        def decoded(read: AccountsRead) -> tuple[dict[Pubkey, Worth], ChainClock]:
            known = {address: _decode_each((pool,), read.accounts, []) for address, pool in pools.items()}

            def worth(way: _Way) -> Worth:
                mint, hops = way
                return Worth(mint, tuple((at, tuple(p for one in of for p in known[one.address])) for at, of in hops))

            return {mint: worth(way) for mint, way in ways.items()}, clock_of(read.accounts)

        places = [(pool.venue, pool.address) for pool in pools.values()]
        return self._pools.read(places, decoded, besides=frozenset({CLOCK_SYSVAR}))

    def look(
        self,
        mint_a: Pubkey,
        mint_b: Pubkey,
        leg_lamports: int,
        largest: Mapping[Pubkey, int],
        use: Callable[[PairLook], T],
    ) -> T:
        """What `use` makes of one read of all that the pair trades at, in both directions.

        `largest` is the largest amount that it will ask `sides` for, by the token that is sold; other tokens can't be
        asked for there. `use` may be called again, with a later read: it should do nothing that may not be done twice.
        Raises as `price` does.
        """
        candidates = replace(self._candidates(mint_a, mint_b, MAX_ACCOUNTS - 1), valued=None, sol_valued=None)
        attempts = count()

        def looked(read: AccountsRead) -> T:
            read_at_ms, deeper_reads = self._now_ms(), next(attempts)
            pools, unreadable = _decode(candidates, read.accounts, mint_a, mint_b)
            if deeper_reads >= MAX_DEEPER_READS:
                pools = _as_read(pools)
            slot_lag = max(0, read.newest_slot - read.slot)
            ways = {side.mint_in: side for side in (pools, _turned(pools))}
            sides = {
                mint: ManyAmounts(side, partial(self._limits_for, side, leg_lamports), largest[mint])
                for mint, side in ways.items()
                if mint in largest
            }
            as_of_ms = read_at_ms - _age_ms(read, slot_lag, pools.clock, read_at_ms)

            @cache
            def price(mint_in: Pubkey, amount: int) -> PricedPair:
                side = ways[mint_in]
                offers = ask_pools(side.direct, mint_in, amount, side.clock)
                limits = self._limits(self._version, _leg_cost(side, amount, offers, leg_lamports))
                routes = best_routes(side, amount, limits)
                return PricedPair(
                    slot=read.slot,
                    slot_lag=slot_lag,
                    as_of_ms=as_of_ms,
                    offers=offers,
                    route=routes[0],
                    pools=side,
                    worth=None,
                    other_routes=routes[1:],
                    unreadable=unreadable,
                    not_looked_at=candidates.left_out,
                )

            return use(PairLook(read.slot, slot_lag, as_of_ms, sides, price))

        places = [(pool.venue, pool.address) for pool in candidates.all]
        return self._pools.read(places, looked, besides=frozenset({CLOCK_SYSVAR}))

    def _limits_for(self, pools: PairPools, leg_lamports: int, amount: int) -> RouteLimits:
        """Those that `price` finds a route of this amount with."""
        offers: tuple[PoolOffer, ...] = ()
        if pools.mint_in == NATIVE_MINT:
            offers = ask_pools(pools.direct, pools.mint_in, amount, pools.clock)
        return self._limits(self._version, _leg_cost(pools, amount, offers, leg_lamports))

    def _limits(self, version: TransactionVersion, leg_cost: int) -> RouteLimits:
        fits = TransactionRoom(version, with_tip=self._with_tip)
        return RouteLimits(MAX_LEGS[version], leg_cost, fits, LegLimits(MAX_REMAINING_ACCOUNTS[version]))

    def _candidates(self, mint_in: Pubkey, mint_out: Pubkey, most_accounts: int) -> _Candidates:
        """Of each hop the deepest, of all together as many as so many accounts hold. Raises NoPool."""
        hops = [(mint, self._listed(mint_in, mint), self._listed(mint, mint_out)) for mint in BRIDGE_MINTS]
        bridges = [hop for hop in hops if hop[0] not in (mint_in, mint_out) and hop[1] and hop[2]]
        direct = self._listed(mint_in, mint_out)
        if not direct and not bridges:
            raise NoPool("no pool trades this pair")
        valued = self._valued(mint_in) or self._valued(mint_out)
        sol_valued = self._valued(NATIVE_MINT)
        of_hops = [pools for _, first, second in bridges for pools in (first, second)]
        valuing = [pools for way in (valued, sol_valued) if way is not None for _, pools in way[1]]
        looked_at = within_accounts(
            [self._deepest(direct)],
            [self._deepest(pools) for pools in of_hops],
            [self._deepest(pools) for pools in valuing],
            self._pools.needed,
            most_accounts,
        )

        def kept(pools: tuple[RegisteredPool, ...]) -> tuple[RegisteredPool, ...]:
            return tuple(pool for pool in pools if pool.address in looked_at)

        def kept_way(way: _Way | None) -> _Way | None:
            return None if way is None else (way[0], tuple((mint, kept(pools)) for mint, pools in way[1]))

        listed = dict.fromkeys(pool for pools in (direct, *of_hops) for pool in pools)
        over = ((mint, kept(first), kept(second)) for mint, first, second in bridges)
        return _Candidates(
            kept(direct),
            tuple(hop for hop in over if hop[1] and hop[2]),
            kept_way(valued),
            kept_way(sol_valued),
            tuple(listed),
        )

    def _listed(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[RegisteredPool, ...]:
        return self._registry.for_pair(mint_a, mint_b) if mint_a != mint_b else ()

    def _deepest(self, pools: Sequence[RegisteredPool]) -> tuple[RegisteredPool, ...]:
        return self._depths.deepest(pools, self._now_ms())

    def _valued(self, mint: Pubkey) -> _Way | None:
        """The ways from `mint` to the reference currency: none needed, its own pools, or those over SOL; else None."""
        if mint == self._reference_mint:
            return mint, ()
        if own := self._counted(mint, self._reference_mint):
            return mint, ((mint, own),)
        to_sol = self._counted(mint, NATIVE_MINT)
        from_sol = self._counted(NATIVE_MINT, self._reference_mint)
        return (mint, ((mint, to_sol), (NATIVE_MINT, from_sol))) if to_sol and from_sol else None

    def _counted(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[RegisteredPool, ...]:
        return tuple(pool for pool in self._registry.for_pair(mint_a, mint_b) if pool.counts)


def _decode(
    candidates: _Candidates, accounts: AccountMap, mint_in: Pubkey, mint_out: Pubkey
) -> tuple[PairPools, tuple[UnreadablePool, ...]]:
    """All candidates decoded, and the pair's own of which none can be; an error is raised where no way is left.

    Of several the one about the pair's own tokens, which no pool can trade then; or one that may pass.
    """
    unreadable: list[UnreadablePool] = []
    direct = _decode_each(candidates.direct, accounts, unreadable)
    own = tuple(unreadable)
    bridges = tuple(
        Bridge(mint, _decode_each(first, accounts, unreadable), _decode_each(second, accounts, unreadable))
        for mint, first, second in candidates.bridges
    )
    failures = [each.refusal for each in unreadable]
    if failures and not direct and not any(bridge.first and bridge.second for bridge in bridges):
        pair = (str(mint_in), str(mint_out))
        hopeless = (error for error in failures if isinstance(error, TokenNotTradable) and error.mint in pair)
        passing = (error for error in failures if isinstance(error, TransientError))
        raise next(hopeless, None) or next(passing, failures[0])
    return PairPools(mint_in, mint_out, direct, bridges, clock_of(accounts), candidates.uncounted), own


def _turned(pools: PairPools) -> PairPools:
    """The same pools for a swap the other way."""
    bridges = tuple(Bridge(bridge.mint, bridge.second, bridge.first) for bridge in pools.bridges)
    return replace(pools, mint_in=pools.mint_out, mint_out=pools.mint_in, bridges=bridges)


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
    pools: Sequence[RegisteredPool], accounts: AccountMap, unreadable: list[UnreadablePool]
) -> tuple[Pool, ...]:
    decoded: list[Pool] = []
    for pool in pools:
        try:
            decoded.append(pool.venue.decode(pool.address, accounts))
        except AccountsMissing:
            raise
        except ExecutionError as error:
            unreadable.append(UnreadablePool(pool.venue.program, pool.venue.dex, pool.address, error))
    return tuple(decoded)


def _age_ms(read: AccountsRead, slot_lag: int, clock: ChainClock, now_ms: int) -> int:
    """How old what was read was then: by the slots, or by the clock that was read with it, where slots don't tell.

    The clock has whole seconds, and follows the validators' clocks: it is good for telling old from new.
    """
    if read.age_ms is not None:
        return read.age_ms
    return max(0, now_ms - clock.unix_timestamp * 1000) if slot_lag > _SLOTS_TOLD_BY_THE_CLOCK else 0


def clock_of(accounts: AccountMap) -> ChainClock:
    """The chain's clock, which was read with other accounts. Raises RpcUnavailable."""
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
    counted = (offer.quote for offer in offers if offer.pool.address not in pools.uncounted)
    bought = max((quote.amount_out for quote in counted if quote is not None), default=0)
    return max(ceil_div(lamports * bought, sold), 1)
