"""Reads pools that a search found, checks them as for trading, and ranks them by what they pay. Pure.

Found pools are ranked by their own accounts alone, and only against others of the same pair: they say nothing of what
a token is worth, and no reference price or value comes from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from solders.pubkey import Pubkey

from chalicelib.discovery.search import AccountsOnChain, Candidate
from chalicelib.discovery.token_powers import powers_over
from chalicelib.problems import AccountsMissing, ExecutionError, VenueUnavailable
from chalicelib.routing.depth import depth_of
from chalicelib.routing.market import USDC_MINT, USDT_MINT, clock_of
from chalicelib.routing.quote import PoolAsRead, quote_pool
from chalicelib.solana.accounts import CLOCK_SYSVAR, Account, AccountMap, AccountsRead, ChainClock
from chalicelib.solana.mint_risks import MintRisk
from chalicelib.solana.tokens import NATIVE_MINT, InvalidTokenData, Mint
from chalicelib.venues.pool_reader import PoolReader
from chalicelib.venues.venue import Pool

# What is sold to rank pools where nobody says how much, in base units: 10 SOL, 1,000 dollars.
_USUAL_AMOUNTS = {NATIVE_MINT: 10 * 10**9, USDC_MINT: 1_000 * 10**6, USDT_MINT: 1_000 * 10**6}
# Of other tokens such a part of what the pair's deepest pool trades near its price.
_PART_OF_DEEPEST = 100
_POOLS_AT_ONCE = 50
_ACCOUNTS_AT_ONCE = 100
_UNREAD = ChainClock(0, 0, 0)


@dataclass(frozen=True, slots=True)
class RankedPool:
    """A pool that can be traded, as its accounts were at one slot.

    `amount_out` is what it pays for `amount_in` base units of `sold`, None where it doesn't take so much, and `refusal`
    says why. `depth` is in base units of `sold` (routing/depth.py), 0 where it trades only one way. `fee` is the pool's
    own, as a part of what is traded. `existed_at` is a Unix time at which it was there for certain, None where the
    chain doesn't tell. `powers`: what somebody may do to the holders of its tokens, by mint.
    """

    candidate: Candidate
    sold: Mint
    bought: Mint
    amount_in: int
    amount_out: int | None
    refusal: str | None
    depth: int
    fee: Fraction | None
    existed_at: int | None
    powers: Mapping[Pubkey, tuple[MintRisk, ...]]


@dataclass(frozen=True, slots=True)
class UnfitCandidate:
    """An account that is no pool which can be traded, and why."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best first, pair by pair, the pair with the deepest pool first. `unix_timestamp` is the chain's own."""

    pools: tuple[RankedPool, ...]
    unfit: tuple[UnfitCandidate, ...]
    unix_timestamp: int


@dataclass(frozen=True, slots=True)
class _Read:
    candidate: Candidate
    pool: Pool
    mints: tuple[Mint, Mint]
    depth: int
    existed_at: int | None
    powers: Mapping[Pubkey, tuple[MintRisk, ...]]


def rank(
    chain: AccountsOnChain, candidates: Sequence[Candidate], sold: Pubkey, amount_in: int | None = None
) -> Ranking:
    """Read the candidates, all of which trade `sold`, and rank them by what they pay for `amount_in` base units of it.

    Without an amount: 10 SOL, 1,000 USDC or USDT, and of any other token a hundredth of the depth of the pair's
    deepest pool. Those that don't take so much come after those that do, the deeper first; one that doesn't and trades
    nothing near its price either can't be traded.
    Raises RpcUnavailable, RpcRefused.
    """
    read: list[_Read] = []
    unfit: list[UnfitCandidate] = []
    clocks = [
        _read_group(chain, candidates[start : start + _POOLS_AT_ONCE], sold, read, unfit)
        for start in range(0, len(candidates), _POOLS_AT_ONCE)
    ]
    clock = max(clocks, key=lambda clock: clock.slot, default=_UNREAD)
    by_pair: dict[Pubkey, list[_Read]] = {}
    for one in read:
        by_pair.setdefault(one.candidate.other_than(sold), []).append(one)
    pairs = sorted(by_pair.items(), key=lambda item: (-max(one.depth for one in item[1]), bytes(item[0])))
    ranked = [pool for _, pools in pairs for pool in _rank_pair(pools, sold, amount_in, clock)]
    dead = [pool for pool in ranked if pool.amount_out is None and not pool.depth]
    unfit += [UnfitCandidate(pool.candidate, pool.refusal or "it trades nothing") for pool in dead]
    return Ranking(tuple(pool for pool in ranked if pool not in dead), tuple(unfit), clock.unix_timestamp)


def _rank_pair(pools: Sequence[_Read], sold: Pubkey, amount_in: int | None, clock: ChainClock) -> list[RankedPool]:
    if amount_in is None:
        deepest = max(one.depth for one in pools)
        amount_in = _USUAL_AMOUNTS.get(sold) or max(deepest // _PART_OF_DEEPEST, 1)
    ranked = [_quoted(one, sold, amount_in, clock) for one in pools]
    return sorted(ranked, key=lambda one: (-(one.amount_out or 0), -one.depth, bytes(one.candidate.address)))


def _quoted(read: _Read, sold: Pubkey, amount_in: int, clock: ChainClock) -> RankedPool:
    amount_out: int | None = None
    refusal: str | None = None
    fee: Fraction | None = None
    try:
        quote = quote_pool(read.pool, sold, amount_in, clock)
    except ExecutionError as error:
        refusal = str(error)
    else:
        amount_out = quote.amount_out
        whole = amount_in if quote.fee_mint == sold else amount_out + quote.fee
        fee = Fraction(quote.fee, whole)
    mint, other = read.mints if read.mints[0].address == sold else read.mints[::-1]
    return RankedPool(
        candidate=read.candidate,
        sold=mint,
        bought=other,
        amount_in=amount_in,
        amount_out=amount_out,
        refusal=refusal,
        depth=read.depth,
        fee=fee,
        existed_at=read.existed_at,
        powers=read.powers,
    )


def _read_group(
    chain: AccountsOnChain,
    group: Sequence[Candidate],
    sold: Pubkey,
    read: list[_Read],
    unfit: list[UnfitCandidate],
) -> ChainClock:
    """Sort the group's candidates into `read` and `unfit`; the chain's clock as it was then."""

    def use(found: AccountsRead) -> tuple[ChainClock, list[_Read | UnfitCandidate]]:
        clock = clock_of(found.accounts)
        return clock, [_as_read(candidate, found.accounts, sold, clock) for candidate in group]

    reader = PoolReader(lambda addresses: _read_in_parts(chain, addresses))
    places = [(candidate.venue, candidate.address) for candidate in group]
    try:
        clock, looked_at = reader.read(places, use, besides=frozenset({CLOCK_SYSVAR}))
    except VenueUnavailable as error:
        if len(group) == 1:
            unfit.append(UnfitCandidate(group[0], str(error)))
            return _UNREAD
        # one whose accounts never come to an end must not take the others down with it
        middle = len(group) // 2
        clocks = [_read_group(chain, half, sold, read, unfit) for half in (group[:middle], group[middle:])]
        return max(clocks, key=lambda clock: clock.slot)
    read.extend(one for one in looked_at if isinstance(one, _Read))
    unfit.extend(one for one in looked_at if isinstance(one, UnfitCandidate))
    return clock


def _as_read(candidate: Candidate, accounts: AccountMap, sold: Pubkey, clock: ChainClock) -> _Read | UnfitCandidate:
    """Raises AccountsMissing."""
    try:
        pool = PoolAsRead(candidate.venue.decode(candidate.address, accounts))
        sides = {side.mint for side in pool.sides}
        if sides != set(candidate.mints):
            return UnfitCandidate(candidate, "it trades other tokens than it was found by")
        mints = [(mint, _existing(mint, accounts)) for mint in candidate.mints]
        first, second = (Mint.decode(mint, account) for mint, account in mints)
        powers = {mint: powers_over(mint, account) for mint, account in mints}
        existed_at = candidate.venue.existed_at(candidate.address, accounts)
    except AccountsMissing:
        raise
    except (ExecutionError, InvalidTokenData) as error:
        return UnfitCandidate(candidate, str(error))
    return _Read(candidate, pool, (first, second), _depth(pool, sold, clock), existed_at, powers)


def _depth(pool: Pool, sold: Pubkey, clock: ChainClock) -> int:
    try:
        price = pool.mid_price(sold)
    except ExecutionError:
        return 0
    return depth_of(pool, sold, price, clock) if price > 0 else 0


def _existing(address: Pubkey, accounts: AccountMap) -> Account:
    account = accounts.get(address)
    if account is None:
        raise VenueUnavailable(f"account {address} does not exist")
    return account


def _read_in_parts(chain: AccountsOnChain, addresses: Iterable[Pubkey]) -> AccountsRead:
    """The accounts, one call after the other, so that each waits for its turn in the node's pace."""
    wanted = list(addresses)
    accounts: dict[Pubkey, Account | None] = {}
    slots: list[int] = []
    for start in range(0, len(wanted), _ACCOUNTS_AT_ONCE):
        part = chain.get_multiple_accounts(wanted[start : start + _ACCOUNTS_AT_ONCE])
        accounts |= part.accounts
        slots.append(part.slot)
    return AccountsRead(min(slots), accounts)
