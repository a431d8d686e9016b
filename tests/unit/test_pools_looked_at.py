"""Which of many registered pools a plan reads: the deepest as far as is known, and no more than so many accounts."""

from __future__ import annotations

import pytest
from solders.pubkey import Pubkey

from chalicelib.routing.candidates import DEPTH_LIVES_MS, EXPLORED, MAX_CANDIDATES, within_accounts
from chalicelib.routing.market import MAX_ACCOUNTS, USDC_MINT, USDT_MINT, Market
from chalicelib.solana.accounts import CLOCK_SYSVAR, AccountMap
from chalicelib.solana.tokens import NATIVE_MINT as SOL
from chalicelib.venues.registry import PoolEntry, RegisteredPool
from tests.unit.model_market import PROGRAM, ModelChain, ModelVenue, address

A, B = address(1), address(2)
# A model pool's own account, its vault, its array.
ACCOUNTS_OF_ONE = 3


def chain_of(depths: list[int], pair: tuple[Pubkey, Pubkey] = (A, B), first: int = 1) -> ModelChain:
    chain = ModelChain()
    for number, depth in enumerate(depths, first):
        chain.add_pool(number, pair, (depth, depth))
    return chain


def market_of(chain: ModelChain) -> Market:
    return Market(chain, chain.registry(), lambda: chain.now_ms)


def looked_at(market: Market) -> set[int]:
    """The numbers of the pools that make an offer."""
    offers = market.price(A, B, 1_000, leg_lamports=10**9).offers
    return {int.from_bytes(bytes(offer.pool.address), "big") // 100 for offer in offers}


class TestOfAPairWithTooManyPools:
    count = MAX_CANDIDATES + 10

    def test_so_many_take_part_and_the_others_are_named(self) -> None:
        priced = market_of(chain_of([10**9] * self.count)).price(A, B, 1_000, leg_lamports=0)
        assert len(priced.offers) == MAX_CANDIDATES
        named = {pool.address for pool in priced.not_looked_at}
        assert len(named) == 10
        assert named.isdisjoint(offer.pool.address for offer in priced.offers)

    def test_the_deepest_take_part_once_their_depths_are_known(self) -> None:
        """Whatever their addresses: the shallow ones come first by them."""
        market = market_of(chain_of([10**9 + number * 10**7 for number in range(self.count)]))
        seen: set[int] = set()
        for _ in range(12):
            seen |= looked_at(market)
        assert seen == set(range(1, self.count + 1)), "each was looked at once, to know its depth"
        assert looked_at(market) == set(range(11, self.count + 1))

    def test_a_depth_that_is_old_is_looked_at_again(self) -> None:
        chain = chain_of([10**9 + number * 10**7 for number in range(self.count)])
        market = market_of(chain)
        for _ in range(12):
            looked_at(market)
        chain.set_reserves(1, (10**12, 10**12))
        assert 1 not in looked_at(market)
        chain.now_ms += DEPTH_LIVES_MS + 1
        for _ in range(12):
            looked_at(market)
        assert 1 in looked_at(market)

    def test_a_few_of_which_nothing_is_known_have_a_place_in_any_case(self) -> None:
        market = market_of(chain_of([10**9] * self.count))
        first, second = looked_at(market), looked_at(market)
        assert first == set(range(1, MAX_CANDIDATES + 1))
        assert len(second - first) <= EXPLORED
        for _ in range(12):
            second |= looked_at(market)
        assert second == set(range(1, self.count + 1))

    def test_those_that_operators_added_come_before_any_others(self) -> None:
        chain = chain_of([10**9] * self.count)
        chain.entries = [
            PoolEntry(entry.address, entry.program, counts=number >= 10) for number, entry in enumerate(chain.entries)
        ]
        for number in range(1, 11):
            chain.set_reserves(number, (10**15, 10**15))
        market = market_of(chain)
        for _ in range(12):
            looked_at(market)
        assert looked_at(market) == set(range(11, self.count + 1))


class OneWide(ModelVenue):
    """A venue of which the pool `wide` needs so many accounts more than the others."""

    def __init__(self, wide: Pubkey, more: int) -> None:
        super().__init__()
        self.wide = wide
        self.more = frozenset(address(1_000_000 + number) for number in range(more))

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        needed = super().accounts_needed(pool, accounts)
        return needed | self.more if pool == self.wide else needed


class TestWhatAPlanReads:
    def wide(self) -> ModelChain:
        """A pair whose own pools, and those of each hop, are as many as may take part."""
        chain = ModelChain()
        hops = [(A, B), *((A, over) for over in (SOL, USDC_MINT, USDT_MINT)), *((over, B) for over in (SOL, USDC_MINT))]
        number = 0
        for pair in hops:
            for _ in range(MAX_CANDIDATES):
                number += 1
                chain.add_pool(number, pair, (10**12, 10**12))
        return chain

    def test_is_never_more_than_so_many_accounts_and_the_rest_is_named(self) -> None:
        chain = self.wide()
        market = market_of(chain)
        chain.registry().pools()
        for _ in range(3):
            chain.reads.clear()
            priced = market.price(A, B, 1_000, leg_lamports=0)
            assert all(len(read) <= MAX_ACCOUNTS for read in chain.reads[-1:])
        assert priced.not_looked_at
        # of the pools of hops that lead on, each is read or named
        read = {pool.address for pool in priced.pools.direct}
        read |= {pool.address for bridge in priced.pools.bridges for pool in (*bridge.first, *bridge.second)}
        assert read.isdisjoint(pool.address for pool in priced.not_looked_at)
        assert len(read) + len(priced.not_looked_at) == 5 * MAX_CANDIDATES
        assert len(priced.pools.direct) == MAX_CANDIDATES
        assert all(bridge.first and bridge.second for bridge in priced.pools.bridges)

    @pytest.mark.parametrize("besides", [0, 5])
    @pytest.mark.parametrize("too_many", [0, 1])
    def test_is_as_many_accounts_as_it_may_be_and_not_one_more(self, besides: int, too_many: int) -> None:
        chain = chain_of([10**9] * 2)
        the_clock = 1
        more = MAX_ACCOUNTS - the_clock - besides - 2 * ACCOUNTS_OF_ONE + too_many
        market = Market(chain, chain.registry(OneWide(address(200), more)), lambda: chain.now_ms)
        others = frozenset(address(2_000_000 + number) for number in range(besides))
        market.price(A, B, 1_000, leg_lamports=0, besides=others)
        priced = market.price(A, B, 1_000, leg_lamports=0, besides=others)
        assert [pool.address for pool in priced.not_looked_at] == [address(200)] * too_many
        assert len(chain.reads[-1]) == (the_clock + besides + ACCOUNTS_OF_ONE if too_many else MAX_ACCOUNTS)

    @pytest.mark.parametrize("too_many", [0, 1])
    def test_is_as_many_at_a_look(self, too_many: int) -> None:
        chain = chain_of([10**9] * 2)
        more = MAX_ACCOUNTS - 1 - 2 * ACCOUNTS_OF_ONE + too_many
        market = Market(chain, chain.registry(OneWide(address(200), more)), lambda: chain.now_ms)
        market.look(A, B, 0, {}, lambda look: look)
        priced = market.look(A, B, 0, {}, lambda look: look.price(A, 1_000))
        assert [pool.address for pool in priced.not_looked_at] == [address(200)] * too_many

    @pytest.mark.parametrize("wide", [address(200), address(300)])
    def test_is_no_way_over_a_third_token_of_which_there_is_room_for_one_hop_only(self, wide: Pubkey) -> None:
        chain = chain_of([10**9])
        chain.add_pool(2, (A, SOL), (10**9, 10**9))
        chain.add_pool(3, (SOL, B), (10**9, 10**9))
        market = Market(chain, chain.registry(OneWide(wide, MAX_ACCOUNTS)), lambda: chain.now_ms)
        assert market.price(A, B, 1_000, leg_lamports=0).pools.bridges
        priced = market.price(A, B, 1_000, leg_lamports=0)
        assert priced.pools.bridges == ()
        assert {pool.address for pool in priced.not_looked_at} == {address(200), address(300)}
        assert chain.reads[-1] == {CLOCK_SYSVAR, *(address(100 + offset) for offset in range(ACCOUNTS_OF_ONE))}

    def test_is_one_batch_when_warm(self) -> None:
        chain = self.wide()
        market = market_of(chain)
        for _ in range(20):
            market.price(A, B, 1_000, leg_lamports=0)
        chain.reads.clear()
        market.price(A, B, 1_000, leg_lamports=0)
        assert len(chain.reads) == 1

    def test_goes_over_usdt_too(self) -> None:
        chain = ModelChain()
        chain.add_pool(1, (A, USDT_MINT), (10**12, 10**12))
        chain.add_pool(2, (USDT_MINT, B), (10**12, 10**12))
        route = market_of(chain).price(A, B, 10_000, leg_lamports=0).route
        assert [leg.pool.address for leg in route.legs] == [address(100), address(200)]


class TestTheRoomForPools:
    def rows(self, *sizes: int) -> list[list[RegisteredPool]]:
        return [
            [RegisteredPool(address(1_000 * row + number), ModelVenue(), (A, B)) for number in range(size)]
            for row, size in enumerate(sizes, 1)
        ]

    def taken(self, most: int, *sizes: int) -> list[int]:
        own, hop, other, valuing = self.rows(*sizes)
        found = within_accounts([own], [hop, other], [valuing], self.three_accounts, most)
        return [sum(pool.address in found for pool in row) for row in (own, hop, other, valuing)]

    @staticmethod
    def three_accounts(pool: Pubkey) -> frozenset[Pubkey]:
        return frozenset({pool, Pubkey(b"v" + bytes(pool)[1:]), Pubkey(b"a" + bytes(pool)[1:])})

    def test_is_for_all_where_it_is_enough(self) -> None:
        assert self.taken(3 * 20, 5, 5, 5, 5) == [5, 5, 5, 5]

    def test_is_first_for_what_values_an_order_then_for_its_own_pair_then_for_the_hops_by_turns(self) -> None:
        assert self.taken(3 * 2, 5, 5, 5, 5) == [0, 0, 0, 2]
        assert self.taken(3 * 8, 5, 5, 5, 5) == [2, 2, 2, 2]
        assert self.taken(3 * 12, 5, 5, 5, 5) == [4, 3, 3, 2]

    def test_is_not_used_twice_by_accounts_that_pools_share(self) -> None:
        own, hop, other, valuing = self.rows(5, 0, 0, 0)
        shared = frozenset({address(7), address(8)})
        found = within_accounts([own], [hop, other], [valuing], lambda pool: shared | {pool}, 2 * 7)
        assert len(found) == 5

    def test_is_guessed_for_a_pool_that_was_never_read(self) -> None:
        own, hop, other, valuing = self.rows(5, 0, 0, 0)
        assert len(within_accounts([own], [hop, other], [valuing], lambda pool: None, 3 * 8 + 7)) == 3


def test_a_pool_that_is_registered_for_nothing_here_is_neither_read_nor_named() -> None:
    chain = chain_of([10**9] * 2)
    chain.entries.append(PoolEntry(str(address(9_900)), str(PROGRAM)))
    chain.add_pool(50, (A, address(77)), (10**9, 10**9))
    priced = market_of(chain).price(A, B, 1_000, leg_lamports=0)
    assert priced.not_looked_at == ()
    assert len(priced.offers) == 2


@pytest.mark.parametrize("direction", [(A, B), (B, A)])
def test_a_depth_is_the_same_whichever_way_the_pair_is_asked_for(direction: tuple[Pubkey, Pubkey]) -> None:
    chain = chain_of([10**9 + number * 10**7 for number in range(MAX_CANDIDATES + 10)])
    market = market_of(chain)
    for _ in range(14):
        market.price(*direction, 1_000, leg_lamports=0)
    assert looked_at(market) == set(range(11, MAX_CANDIDATES + 11))
