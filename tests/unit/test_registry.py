"""Which pools exist for a pair: what the registry lists and the chain confirms, read once, never stale for long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import RpcUnavailable
from chalicelib.solana.accounts import AccountMap
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from tests.unit.model_market import PROGRAM, ModelChain, ModelVenue, account, address

A, B, C = (address(number) for number in (1, 2, 3))


@pytest.fixture
def chain() -> ModelChain:
    chain = ModelChain()
    chain.add_pool(1, (A, B), (10, 10))
    chain.add_pool(2, (B, A), (10, 10))
    chain.add_pool(3, (A, C), (10, 10))
    return chain


def test_a_pairs_pools_are_found_whichever_way_round_it_is_asked_for(chain: ModelChain) -> None:
    registry = chain.registry()
    for pair in ((A, B), (B, A)):
        assert [pool.address for pool in registry.for_pair(*pair)] == [address(100), address(200)]
    assert [pool.mints for pool in registry.for_pair(A, C)] == [(A, C)]
    assert registry.for_pair(B, C) == ()
    assert registry.for_pair(A, A) == ()
    assert registry.mints() == {A, B, C}


def test_what_a_pool_trades_is_read_once_and_all_pools_at_once(chain: ModelChain) -> None:
    registry = chain.registry()
    for _ in range(3):
        registry.pools()
        chain.now_ms += 31_000
    assert chain.loads == 3
    assert chain.reads == [{address(100), address(200), address(300)}]


def test_the_lines_are_loaded_again_only_when_they_are_old(chain: ModelChain) -> None:
    registry = chain.registry(max_age_ms=1_000)
    registry.pools()
    chain.now_ms += 1_000
    registry.mints()
    assert chain.loads == 1
    chain.now_ms += 1
    registry.for_pair(A, B)
    assert chain.loads == 2


def test_a_pool_that_is_registered_later_is_found_and_only_it_is_read(chain: ModelChain) -> None:
    registry = chain.registry()
    registry.pools()
    chain.add_pool(4, (B, C), (10, 10))
    assert registry.for_pair(B, C) == ()
    chain.now_ms += 30_001
    assert [pool.address for pool in registry.for_pair(B, C)] == [address(400)]
    assert chain.reads[1:] == [{address(400)}]


def test_a_pool_that_is_no_longer_registered_is_gone(chain: ModelChain) -> None:
    registry = chain.registry()
    registry.pools()
    del chain.entries[1]
    chain.now_ms += 30_001
    assert [pool.address for pool in registry.for_pair(A, B)] == [address(100)]


def test_programs_that_fillrate_does_not_know_are_passed_over_unread(chain: ModelChain) -> None:
    chain.entries.append(PoolEntry(str(address(900)), str(Pubkey(bytes([5] * 32)))))
    assert len(chain.registry().pools()) == 3
    assert chain.reads == [{address(100), address(200), address(300)}]


def test_a_pool_that_does_not_exist_yet_is_found_once_it_does(chain: ModelChain) -> None:
    chain.register(address(400))
    registry = chain.registry()
    assert len(registry.pools()) == 3
    chain.add_pool(4, (B, C), (10, 10), registered=False)
    chain.now_ms += 30_001
    assert len(registry.pools()) == 4


def test_an_account_of_another_program_is_no_pool_however_it_is_listed(chain: ModelChain) -> None:
    chain.accounts[address(500)] = account(chain.accounts[address(100)].data, owner=address(6))
    chain.register(address(500))
    assert len(chain.registry().pools()) == 3


@pytest.mark.parametrize("line", ["", "not base58 0OIl", "abc", str(PROGRAM) + "1111", "é"])
def test_a_line_that_is_no_address_takes_nothing_down_with_it(chain: ModelChain, line: str) -> None:
    chain.entries.insert(0, PoolEntry(line, str(PROGRAM)))
    assert len(chain.registry().pools()) == 3


def test_when_the_chain_cannot_be_read_the_error_is_told_and_the_next_call_tries_again(chain: ModelChain) -> None:
    answers = iter([False, True])

    def read(addresses: Sequence[Pubkey]) -> AccountMap:
        if not next(answers):
            raise RpcUnavailable("no answer")
        return chain.get_multiple_accounts(addresses).accounts

    registry = PoolRegistry(chain.load, read, [ModelVenue()], lambda: chain.now_ms)
    with pytest.raises(RpcUnavailable):
        registry.pools()
    assert len(registry.pools()) == 3


def test_those_that_an_operator_added_come_before_all_others_and_are_told_apart(chain: ModelChain) -> None:
    chain.entries[0] = replace(chain.entries[0], counts=False)
    found = chain.registry().pools()
    assert [(pool.address, pool.counts) for pool in found] == [
        (address(200), True),
        (address(300), True),
        (address(100), False),
    ]


def test_a_pool_that_no_operator_added_brings_in_no_token_and_no_pair(chain: ModelChain) -> None:
    pair = chain.registry().for_pair(A, B)
    chain.entries[:] = [replace(entry, counts=False) for entry in chain.entries]
    assert chain.registry().pools() == ()
    chain.entries[0] = replace(chain.entries[0], counts=True)
    registry = chain.registry()
    assert {pool.address for pool in registry.pools()} == {pool.address for pool in pair}
    assert registry.mints() == {A, B}


def test_an_empty_registry_trades_nothing_and_reads_nothing() -> None:
    chain = ModelChain()
    assert chain.registry(ModelVenue()).mints() == frozenset()
    assert chain.reads == []
