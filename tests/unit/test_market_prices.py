"""What the market shows at one look in both directions, what tokens are worth, and what one transaction can carry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import InsufficientLiquidity
from chalicelib.routing.market import MAX_DEEPER_READS, USDC_MINT, Market
from chalicelib.routing.quote import MAX_REMAINING_ACCOUNTS
from chalicelib.routing.swap_plan import TransactionRoom
from chalicelib.solana.accounts import CLOCK_SYSVAR, AccountMap, AccountsRead
from chalicelib.solana.tokens import NATIVE_MINT as SOL
from chalicelib.solana.transaction import TransactionVersion
from chalicelib.venues.venue import PoolQuote
from tests.unit.model_market import CLOCK, REFERENCE, ModelChain, ModelPool, ModelVenue, address, market_of, pool_like

A, B, C = (address(number) for number in (1, 2, 3))
DEEP = (10**12, 10**12)


@pytest.fixture
def chain() -> ModelChain:
    return ModelChain()


# --- one look, both directions -------------------------------------------------------------------------------------


@pytest.fixture
def pairs(chain: ModelChain) -> ModelChain:
    """Two pools of A and B and two of SOL and B, each pair with a way over a third token besides."""
    mints = [(A, B), (A, B), (A, SOL), (SOL, B), (SOL, B), (SOL, USDC_MINT), (USDC_MINT, B)]
    for number, pair in enumerate(mints, 1):
        chain.add_pool(number, pair, (10**12, 10**12 + number * 10**10))
    return chain


@pytest.mark.parametrize("leg_lamports", [0, 10**8])
@pytest.mark.parametrize(("sold", "bought"), [(A, B), (B, A), (SOL, B), (B, SOL), (C, B), (B, C)])
def test_a_look_gives_in_both_directions_what_prices_of_the_same_accounts_give(
    pairs: ModelChain, sold: Pubkey, bought: Pubkey, leg_lamports: int
) -> None:
    """C is traded over SOL alone."""
    pairs.add_pool(8, (C, SOL), DEEP)
    market = market_of(pairs)
    priced = market.price(sold, bought, 10**10, leg_lamports)
    mints = sorted((sold, bought), key=bytes)
    look = market.look(mints[0], mints[1], leg_lamports, {sold: 10**10}, lambda look: look)
    seen = look.price(sold, 10**10)
    assert (seen.offers, seen.route, seen.other_routes) == (priced.offers, priced.route, priced.other_routes)
    assert seen.pools == priced.pools
    assert look.sides.keys() == {sold}
    assert look.sides[sold].route(10**10) == priced.route


@pytest.mark.parametrize(("leg_lamports", "legs"), [(0, 2), (10**8, 1)])
@pytest.mark.parametrize("pair", [(SOL, B), (B, SOL)])
def test_a_look_splits_an_amount_where_that_gains_more_than_its_legs_cost(
    chain: ModelChain, pair: tuple[Pubkey, Pubkey], leg_lamports: int, legs: int
) -> None:
    """Half of a hundredth of its depth at each of two pools gains half a percent of it."""
    for number in (1, 2):
        chain.add_pool(number, (SOL, B), DEEP)
    look = market_of(chain).look(*pair, leg_lamports, {pair[0]: 10**10}, lambda look: look)
    route = look.sides[pair[0]].route(10**10)
    assert route is not None
    assert len(route.legs) == legs


@pytest.mark.parametrize(("lag_slots", "as_of_ms"), [(0, 20_500), (50, 0)])
def test_a_look_names_the_slot_and_the_time_of_its_read(pairs: ModelChain, lag_slots: int, as_of_ms: int) -> None:
    market = market_of(pairs)
    since = CLOCK.unix_timestamp * 1000
    pairs.now_ms, pairs.lag_slots, pairs.age_ms = since + 20_500, lag_slots, None
    look = market.look(A, B, 0, {}, lambda look: look)
    for told in (look, look.price(A, 1_000)):
        assert (told.slot, told.slot_lag, told.as_of_ms) == (len(pairs.reads), lag_slots, since + as_of_ms)


def test_a_look_reads_nothing_that_only_values_tokens(chain: ModelChain) -> None:
    for number, mints in enumerate([(A, B), (A, REFERENCE), (SOL, REFERENCE)], 1):
        chain.add_pool(number, mints, DEEP)
    market_of(chain).look(A, B, 0, {}, lambda look: look)
    assert chain.reads[-1] == {CLOCK_SYSVAR, *(address(100 + offset) for offset in range(3))}


def test_a_look_asks_for_more_accounts_no_more_often_than_a_price(chain: ModelChain) -> None:
    class NeverContent(ModelVenue):
        def decode(self, pool: Pubkey, accounts: AccountMap) -> ModelPool:
            self.near, self.far = 0, (address(7_000 + len(accounts)),)
            return super().decode(pool, accounts)

    chain.add_pool(1, (A, B), DEEP)
    registry = chain.registry(NeverContent())
    registry.pools()
    chain.reads.clear()
    market = Market(chain, registry, lambda: chain.now_ms)
    with pytest.raises(InsufficientLiquidity, match="one transaction"):
        market.look(A, B, 0, {A: 1_000}, lambda look: look.price(A, 1_000))
    assert len(chain.reads) == 3 + MAX_DEEPER_READS


# --- what tokens are worth -----------------------------------------------------------------------------------------


def test_tokens_are_valued_by_their_own_pools_or_over_sol_and_by_those_that_can_be_read(chain: ModelChain) -> None:
    for number, mints in enumerate([(A, REFERENCE), (A, REFERENCE), (B, SOL), (SOL, REFERENCE), (C, A)], 1):
        chain.add_pool(number, mints, DEEP)
    market = market_of(chain)
    market.worths([A])
    del chain.accounts[address(201)]
    worths, clock = market.worths([REFERENCE, A, B, C])
    hops = {
        worth.mint: [(mint, [pool.address for pool in pools]) for mint, pools in worth.hops]
        for worth in worths.values()
    }
    assert hops == {
        REFERENCE: [],
        A: [(A, [address(100)])],
        B: [(B, [address(300)]), (SOL, [address(400)])],
    }
    assert list(worths) == list(hops)
    assert clock == CLOCK


# --- who reads for a price -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "of_the_swap", "paid"), [(True, (100,), 9_999), (False, (200, 300), 9_998)])
def test_a_price_is_read_by_whoever_it_is_told_to_ask_who_is_told_the_pools_of_the_swap(
    chain: ModelChain, own: bool, of_the_swap: tuple[int, ...], paid: int
) -> None:
    for number, mints in enumerate([(A, B), (A, SOL), (SOL, B), (A, REFERENCE)], 1):
        chain.add_pool(number, mints, DEEP, registered=own or number > 1)
    told: list[Sequence[Pubkey]] = []

    def read(addresses: Sequence[Pubkey], *, pools: Sequence[Pubkey]) -> AccountsRead:
        told.append(pools)
        return chain.get_multiple_accounts(addresses)

    elsewhere = ModelChain()
    market = Market(elsewhere, chain.registry(), lambda: 0, REFERENCE)
    assert market.price(A, B, 10_000, leg_lamports=0, read=read).route.amount_out == paid
    assert set(told) == {tuple(map(address, of_the_swap))}
    assert elsewhere.reads == []


# --- what one transaction can carry --------------------------------------------------------------------------------


@pytest.mark.parametrize(("own_version", "version", "legs"), [(0, None, 4), (1, None, 12), (1, 0, 4), (0, 1, 12)])
def test_a_route_has_as_many_legs_as_a_transaction_of_the_version_asked_for_or_of_the_markets_own(
    chain: ModelChain, own_version: TransactionVersion, version: TransactionVersion | None, legs: int
) -> None:
    for number in range(1, 15):
        chain.add_pool(number, (A, B), DEEP)
    market = Market(chain, chain.registry(), lambda: 0, version=own_version)
    assert len(market.price(A, B, 10**11, leg_lamports=0, version=version).route.legs) == legs


@pytest.mark.parametrize("version", [0, 1])
def test_a_swap_names_no_more_accounts_than_a_transaction_of_its_version_has_room_for_in_any_case(
    chain: ModelChain, version: TransactionVersion
) -> None:
    class Remaining(ModelVenue):
        remaining = MAX_REMAINING_ACCOUNTS[version]

        def decode(self, pool: Pubkey, accounts: AccountMap) -> ModelPool:
            return pool_like(super().decode(pool, accounts), remaining=self.remaining)

    chain.add_pool(1, (A, B), DEEP)
    venue = Remaining()
    market = Market(chain, chain.registry(venue), lambda: 0, version=version)
    assert market.price(A, B, 10_000, leg_lamports=0).route.amount_out == 9_999
    venue.remaining += 1
    with pytest.raises(InsufficientLiquidity, match="one transaction"):
        market.price(A, B, 10_000, leg_lamports=0)


@dataclass(frozen=True)
class WidePool(ModelPool):
    """A pool whose swap names so many accounts of its own more."""

    more: int = 0

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        swap = super().swap_instruction(
            quote, trader=trader, source=source, destination=destination, minimum_out=minimum_out
        )
        first = int.from_bytes(bytes(self.address), "big") * 1_000
        own = [AccountMeta(address(first + number), False, True) for number in range(self.more)]
        return Instruction(swap.program_id, swap.data, [*swap.accounts, *own])


class WideVenue(ModelVenue):
    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def decode(self, pool: Pubkey, accounts: AccountMap) -> ModelPool:
        known = super().decode(pool, accounts)
        return WidePool(known.address, known.mints, known.reserves, more=self.more)


def test_a_route_leaves_room_for_a_tip_only_where_one_is_paid(chain: ModelChain) -> None:
    """As two pools' swaps name ever more accounts, there comes a time when there is room for both but for no tip."""
    for number in (1, 2):
        chain.add_pool(number, (A, B), DEEP)

    registries = [chain.registry(WideVenue(more)) for more in range(7, 12)]

    def all_have_room_for_a_tip(markets: Iterable[Market]) -> bool:
        routes = [market.price(A, B, 10**11, leg_lamports=0).route for market in markets]
        return all(TransactionRoom(0, with_tip=True)(route) for route in routes)

    assert all_have_room_for_a_tip(Market(chain, each, lambda: 0, version=0, with_tip=True) for each in registries)
    assert not all_have_room_for_a_tip(Market(chain, each, lambda: 0, version=0) for each in registries)
