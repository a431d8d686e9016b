"""The market as one read of the chain: one round trip once warm, one slot for all pools, and an end to reading."""

from __future__ import annotations

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import (
    AccountsMissing,
    ExecutionError,
    InsufficientLiquidity,
    NoPool,
    RpcUnavailable,
    TokenNotTradable,
    VenueUnavailable,
)
from chalicelib.routing.market import MAX_DEEPER_READS, Market
from chalicelib.solana.accounts import CLOCK_SYSVAR, SYSVAR_OWNER, Account, AccountMap, AccountsRead
from chalicelib.solana.tokens import NATIVE_MINT
from chalicelib.venues.pool_reader import MAX_READS
from tests.unit.model_market import CLOCK, ModelChain, ModelPool, ModelVenue, account, address

A, B, C = (address(number) for number in (1, 2, 3))
DEEP = (10**12, 10**12)


@pytest.fixture
def chain() -> ModelChain:
    chain = ModelChain()
    chain.add_pool(1, (A, B), DEEP)
    return chain


def market_of(chain: ModelChain, venue: ModelVenue | None = None) -> Market:
    """A market whose registry has been read; only its own reads are counted from here on."""
    registry = chain.registry(venue or ModelVenue())
    registry.pools()
    chain.reads.clear()
    return Market(chain, registry, lambda: chain.now_ms)


def test_the_first_price_follows_the_accounts_to_where_the_liquidity_lies(chain: ModelChain) -> None:
    priced = market_of(chain).price(A, B, 1_000, leg_lamports=0)
    assert priced.route.amount_out == 999
    assert [len(read) for read in chain.reads] == [2, 3, 4]


def test_once_warm_one_round_trip_is_enough_whatever_the_amount_and_the_direction(chain: ModelChain) -> None:
    market = market_of(chain)
    market.price(A, B, 1_000, leg_lamports=0)
    chain.reads.clear()
    market.price(A, B, 5, leg_lamports=0)
    market.price(B, A, 10**9, leg_lamports=0)
    assert len(chain.reads) == 2


def test_every_price_is_of_the_chain_as_it_is_then(chain: ModelChain) -> None:
    market = market_of(chain)
    market.price(A, B, 1_000, leg_lamports=0)
    chain.set_reserves(1, (10**12, 3 * 10**12))
    assert market.price(A, B, 1_000, leg_lamports=0).route.amount_out == 2_999


def test_liquidity_that_moved_to_another_account_is_followed(chain: ModelChain) -> None:
    market = market_of(chain)
    market.price(A, B, 1_000, leg_lamports=0)
    chain.move_array(1)
    chain.reads.clear()
    assert market.price(A, B, 1_000, leg_lamports=0).route.amount_out == 999
    assert len(chain.reads) == 2
    market.price(A, B, 1_000, leg_lamports=0)
    assert len(chain.reads) == 3, "and remembered"


def test_a_price_names_the_slot_and_the_time_of_the_read_that_it_was_made_of(chain: ModelChain) -> None:
    market = market_of(chain)
    chain.now_ms = 123_456
    priced = market.price(A, B, 1_000, leg_lamports=0)
    assert (priced.slot, priced.slot_lag, priced.as_of_ms) == (len(chain.reads), 0, 123_456)


def test_a_price_of_old_accounts_says_how_old_they_are(chain: ModelChain) -> None:
    market = market_of(chain)
    chain.now_ms, chain.lag_slots, chain.age_ms = 123_456, 20, 8_000
    priced = market.price(A, B, 1_000, leg_lamports=0)
    assert (priced.slot_lag, priced.as_of_ms) == (20, 115_456)


@pytest.mark.parametrize("lag_slots", [5, 50])
def test_where_slots_do_not_tell_an_age_the_chains_own_clock_does(chain: ModelChain, lag_slots: int) -> None:
    market = market_of(chain)
    chain.now_ms, chain.lag_slots, chain.age_ms = CLOCK.unix_timestamp * 1000 + 20_500, lag_slots, None
    assert market.price(A, B, 1_000, leg_lamports=0).as_of_ms == CLOCK.unix_timestamp * 1000


@pytest.mark.parametrize("lag_slots", [2, 4])
def test_a_clock_of_whole_seconds_makes_nothing_old_that_is_a_few_slots_behind(
    chain: ModelChain, lag_slots: int
) -> None:
    market = market_of(chain)
    chain.now_ms, chain.lag_slots, chain.age_ms = CLOCK.unix_timestamp * 1000 + 20_500, lag_slots, None
    assert market.price(A, B, 1_000, leg_lamports=0).as_of_ms == chain.now_ms


def test_a_clock_that_is_ahead_makes_nothing_newer_than_now(chain: ModelChain) -> None:
    market = market_of(chain)
    chain.now_ms, chain.lag_slots, chain.age_ms = CLOCK.unix_timestamp * 1000 - 1_500, 50, None
    assert market.price(A, B, 1_000, leg_lamports=0).as_of_ms == chain.now_ms


def test_all_pools_and_the_clock_are_taken_from_one_read(chain: ModelChain) -> None:
    """Reserves double with every read: offers of two reads would be told by their outputs."""
    chain.add_pool(2, (A, B), DEEP)
    market = market_of(chain)

    class Restless(ModelChain):
        def get_multiple_accounts(self, addresses: object) -> AccountsRead:
            for number in (1, 2):
                chain.set_reserves(number, (10**12, 10**12 * 2 ** len(chain.reads)))
            return ModelChain.get_multiple_accounts(chain, addresses)  # type: ignore[arg-type]

    market = Market(Restless(), chain.registry(), lambda: 0)
    offers = market.price(A, B, 1_000, leg_lamports=0).offers
    assert len({offer.quote.amount_out for offer in offers if offer.quote}) == 1
    assert all(CLOCK_SYSVAR in read for read in chain.reads[1:])


@pytest.mark.parametrize("pair", [(A, C), (C, A)])
def test_a_pair_that_nobody_trades_is_told_without_a_read(chain: ModelChain, pair: tuple[Pubkey, Pubkey]) -> None:
    """Also where there is half a way over a third token."""
    chain.add_pool(2, (A, NATIVE_MINT), DEEP)
    market = market_of(chain)
    with pytest.raises(NoPool):
        market.price(*pair, 1_000, leg_lamports=0)
    assert chain.reads == []


def test_a_newly_registered_pool_takes_part_once_the_registry_is_loaded_again(chain: ModelChain) -> None:
    market = market_of(chain)
    chain.add_pool(2, (A, B), (10**12, 2 * 10**12))
    chain.now_ms += 30_001
    assert market.price(A, B, 1_000, leg_lamports=10**9).route.legs[0].pool.address == address(200)


def test_a_pair_without_a_pool_of_its_own_goes_over_sol(chain: ModelChain) -> None:
    chain.add_pool(2, (NATIVE_MINT, C), DEEP)
    chain.add_pool(3, (A, NATIVE_MINT), DEEP)
    priced = market_of(chain).price(A, C, 10_000, leg_lamports=0)
    assert [leg.pool.address for leg in priced.route.legs] == [address(300), address(200)]
    assert priced.route.amount_out == 9_998
    assert priced.offers == ()


# --- accounts that quotes ask for only as they go ------------------------------------------------------------------


def test_what_a_large_quote_asks_for_besides_is_read_and_the_quote_made_again(chain: ModelChain) -> None:
    venue = ModelVenue(near=1_000, far=[address(7_001), address(7_002)])
    market = market_of(chain, venue)
    market.price(A, B, 1_000, leg_lamports=0)
    chain.reads.clear()
    assert market.price(A, B, 1_001, leg_lamports=0).route.amount_out == 1_000
    assert len(chain.reads) == 2
    assert chain.reads[1] - chain.reads[0] == {address(7_001), address(7_002)}


class NeverContent(ModelVenue):
    """A venue whose quotes ask for one account more at every read."""

    def decode(self, pool: Pubkey, accounts: AccountMap) -> ModelPool:
        self.near, self.far = 0, (address(7_000 + len(accounts)),)
        return super().decode(pool, accounts)


class AsksForWhatItHas(ModelVenue):
    """A defective venue: it asks for an account that was read."""

    def decode(self, pool: Pubkey, accounts: AccountMap) -> ModelPool:
        raise AccountsMissing([str(pool)])


def test_a_quote_that_never_has_enough_accounts_is_more_than_the_pool_can_take(chain: ModelChain) -> None:
    market = market_of(chain, NeverContent())
    with pytest.raises(InsufficientLiquidity, match="one transaction"):
        market.price(A, B, 1_000, leg_lamports=0)
    assert len(chain.reads) == 3 + MAX_DEEPER_READS


def test_and_leaves_the_order_to_pools_that_can(chain: ModelChain) -> None:
    chain.add_pool(2, (A, B), (10**12, 10**11))

    class OneNeverContent(NeverContent):
        def decode(self, pool: Pubkey, accounts: AccountMap) -> ModelPool:
            return super().decode(pool, accounts) if pool == address(100) else ModelVenue().decode(pool, accounts)

    route = market_of(chain, OneNeverContent()).price(A, B, 1_000, leg_lamports=0).route
    assert [leg.pool.address for leg in route.legs] == [address(200)]


def test_reading_comes_to_an_end_also_where_accounts_never_suffice(chain: ModelChain) -> None:
    market = market_of(chain, AsksForWhatItHas())
    with pytest.raises(VenueUnavailable):
        market.price(A, B, 1_000, leg_lamports=0)
    assert len(chain.reads) == MAX_READS


def test_a_pool_whose_accounts_move_at_every_read_ends_the_reading_too(chain: ModelChain) -> None:
    class Runaway(ModelVenue):
        asked = 0

        def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
            self.asked += 1
            return frozenset({pool, address(7_000 + self.asked)})

    market = market_of(chain, Runaway())
    with pytest.raises(VenueUnavailable):
        market.price(A, B, 1_000, leg_lamports=0)
    assert len(chain.reads) == MAX_READS


# --- pools that can't be read --------------------------------------------------------------------------------------


def test_a_pool_that_cannot_be_decoded_is_passed_over_for_another(chain: ModelChain) -> None:
    chain.add_pool(2, (A, B), DEEP)
    market = market_of(chain)
    del chain.accounts[address(100)]
    priced = market.price(A, B, 1_000, leg_lamports=0)
    assert [leg.pool.address for leg in priced.route.legs] == [address(200)]


def test_with_no_other_pool_its_own_error_is_told(chain: ModelChain) -> None:
    market = market_of(chain)
    del chain.accounts[address(101)]
    with pytest.raises(VenueUnavailable, match="has no vault"):
        market.price(A, B, 1_000, leg_lamports=0)


def test_an_amount_that_no_pool_takes_is_told_as_that(chain: ModelChain) -> None:
    with pytest.raises(InsufficientLiquidity):
        market_of(chain).price(A, B, 10**14, leg_lamports=0)


@pytest.mark.parametrize(
    "clock",
    [
        None,
        account(b"", SYSVAR_OWNER),
        account(bytes(39), SYSVAR_OWNER),
        account(bytes(41), SYSVAR_OWNER),
        account(bytes(40)),
    ],
)
def test_a_node_that_has_no_clock_of_the_chains_prices_nothing(chain: ModelChain, clock: Account | None) -> None:
    market = market_of(chain)
    if clock is None:
        del chain.accounts[CLOCK_SYSVAR]
    else:
        chain.accounts[CLOCK_SYSVAR] = clock
    with pytest.raises(RpcUnavailable, match="clock"):
        market.price(A, B, 1_000, leg_lamports=0)


def test_a_chain_that_cannot_be_read_is_told_at_once(chain: ModelChain) -> None:
    registry = chain.registry()
    registry.pools()

    class Unreachable:
        reads = 0

        def get_multiple_accounts(self, addresses: object) -> AccountsRead:
            self.reads += 1
            raise RpcUnavailable("no answer")

    source = Unreachable()
    with pytest.raises(RpcUnavailable):
        Market(source, registry, lambda: 0).price(A, B, 1, leg_lamports=0)
    assert source.reads == 1


# --- pools that are to be left out ---------------------------------------------------------------------------------

BEST, SECOND = address(200), address(100)


@pytest.fixture
def better(chain: ModelChain) -> ModelChain:
    chain.add_pool(2, (A, B), (10**12, 2 * 10**12))
    return chain


def used(market: Market, without: frozenset[Pubkey], floor: int = 0) -> list[Pubkey]:
    route = market.price(A, B, 1_000, leg_lamports=10**9, without=without, floor=floor).route
    return [leg.pool.address for leg in route.legs]


def test_a_pool_to_be_left_out_is_left_out_as_long_as_the_others_pay_the_floor(better: ModelChain) -> None:
    market = market_of(better)
    assert used(market, frozenset()) == [BEST]
    assert used(market, frozenset({BEST}), floor=999) == [SECOND]
    assert used(market, frozenset({BEST}), floor=1_000) == [BEST], "the other pays 999"


def test_where_no_other_is_left_all_are_asked_again_and_never_are_there_none(better: ModelChain) -> None:
    market = market_of(better)
    assert used(market, frozenset({BEST, SECOND})) == [BEST]
    del better.accounts[address(100)]
    assert used(market, frozenset({BEST})) == [BEST]


def test_what_is_left_out_still_offers_and_vouches_for_the_price(better: ModelChain) -> None:
    priced = market_of(better).price(A, B, 1_000, leg_lamports=0, without=frozenset({BEST}))
    assert {offer.pool.address for offer in priced.offers} == {BEST, SECOND}
    assert {pool.address for pool in priced.pools.direct} == {BEST, SECOND}


def test_a_way_over_a_third_token_takes_the_place_of_the_only_pool(chain: ModelChain) -> None:
    chain.add_pool(3, (A, NATIVE_MINT), DEEP)
    chain.add_pool(4, (NATIVE_MINT, B), DEEP)
    assert used(market_of(chain), frozenset({SECOND})) == [address(300), address(400)]
    assert used(market_of(chain), frozenset({SECOND, address(300)})) == [SECOND]


def test_accounts_that_only_the_others_need_are_read(better: ModelChain) -> None:
    venue = ModelVenue(near=10, far=[address(7_001)])
    assert used(market_of(better, venue), frozenset({BEST})) == [SECOND]


FROZEN = VenueUnavailable("its vault is frozen")
HOOK_OF_A, HOOK_OF_B, HOOK_OF_C = (TokenNotTradable("it has a hook", str(mint)) for mint in (A, B, C))


@pytest.mark.parametrize(
    ("of_best", "of_second", "told"),
    [
        (HOOK_OF_A, FROZEN, HOOK_OF_A),
        (HOOK_OF_B, FROZEN, HOOK_OF_B),
        (HOOK_OF_C, FROZEN, FROZEN),
        (HOOK_OF_C, HOOK_OF_C, HOOK_OF_C),
    ],
)
def test_of_several_reasons_the_one_that_no_pool_can_help_is_told(
    better: ModelChain, of_best: ExecutionError, of_second: ExecutionError, told: ExecutionError
) -> None:
    class Refusing(ModelVenue):
        def decode(self, pool: Pubkey, accounts: AccountMap) -> ModelPool:
            raise of_best if pool == BEST else of_second

    with pytest.raises(type(told)) as raised:
        market_of(better, Refusing()).price(A, B, 1_000, leg_lamports=0)
    assert raised.value is told
