"""An outage of Solana is told from one order's bad luck over all workers; whoever is answered ends it for all."""

from __future__ import annotations

from collections import deque

import pytest

from chalicelib.aws.dynamodb.outages import SharedOutages
from chalicelib.orders.execution import ComeBack, Finished
from chalicelib.orders.outage import LOOK_EVERY_MS, WAIT_MS, OutagePolicy
from chalicelib.orders.states import State
from chalicelib.problems import NoPool, RpcUnavailable
from tests.integration.chain_model import World
from tests.integration.cloud import Cloud, calls_to
from tests.sample_orders import CREATED_AT_MS, new_order

POLICY = OutagePolicy(failures_to_tell=4, failures_count_for_ms=60_000)
NOW_MS = CREATED_AT_MS


def fresh_worker(cloud: Cloud, policy: OutagePolicy = POLICY) -> SharedOutages:
    return SharedOutages(cloud.dynamodb, cloud.outputs["ControlTable"], policy)


def test_failures_of_any_workers_in_a_row_are_an_outage(cloud: Cloud) -> None:
    waits = [fresh_worker(cloud).failed(NOW_MS + number) for number in range(6)]
    assert waits == [None, None, None, WAIT_MS, WAIT_MS, WAIT_MS]


def test_failures_far_apart_are_not_in_a_row(cloud: Cloud) -> None:
    apart = POLICY.failures_count_for_ms + 1
    assert [fresh_worker(cloud).failed(NOW_MS + number * apart) for number in range(6)] == [None] * 6


def test_an_outage_lasts_while_failures_come(cloud: Cloud) -> None:
    for number in range(4):
        fresh_worker(cloud).failed(NOW_MS + number)
    for round_ in range(1, 5):
        assert fresh_worker(cloud).failed(NOW_MS + round_ * POLICY.failures_count_for_ms) == WAIT_MS


@pytest.mark.parametrize("answered", [0, 4, "another"])
def test_an_answer_to_any_worker_ends_it_for_all(cloud: Cloud, answered: int | str) -> None:
    workers = [fresh_worker(cloud) for _ in range(5)]
    assert [worker.failed(NOW_MS) for worker in workers][-1] == WAIT_MS

    (workers[answered] if isinstance(answered, int) else fresh_worker(cloud)).answered(NOW_MS + 1)

    assert [worker.failed(NOW_MS + 2) for worker in workers] == [None, None, None, WAIT_MS, WAIT_MS]


def test_a_worker_whose_clock_is_behind_counts_like_any_other(cloud: Cloud) -> None:
    late, early = fresh_worker(cloud), fresh_worker(cloud)
    assert [late.failed(NOW_MS), early.failed(NOW_MS - 3_000)] == [None, None]
    assert [late.failed(NOW_MS), early.failed(NOW_MS - 3_000)] == [None, WAIT_MS]


def test_where_nothing_fails_a_worker_looks_once_in_a_while_and_writes_nothing(cloud: Cloud) -> None:
    worker = fresh_worker(cloud)
    reads, writes = calls_to(cloud.dynamodb, "GetItem"), calls_to(cloud.dynamodb, "UpdateItem")
    for passed_ms in range(0, 4 * LOOK_EVERY_MS, 100):
        worker.answered(NOW_MS + passed_ms)
    assert (len(reads), len(writes)) == (4, 0)


def test_a_worker_that_failed_looks_at_its_next_answer(cloud: Cloud) -> None:
    worker = fresh_worker(cloud)
    worker.answered(NOW_MS)
    worker.failed(NOW_MS + 1)
    reads, writes = calls_to(cloud.dynamodb, "GetItem"), calls_to(cloud.dynamodb, "UpdateItem")
    for passed_ms in range(2, 1000):
        worker.answered(NOW_MS + passed_ms)
    assert (len(reads), len(writes)) == (1, 1)


def test_ten_cold_workers_at_dead_nodes_use_up_few_attempts_and_every_order_waits_for_the_nodes(cloud: Cloud) -> None:
    """None of the workers' own breakers opens: each order comes to a worker that knows of no failure."""
    orders = [f"order-{number}" for number in range(10)]
    store = cloud.store()
    for order_id in orders:
        assert store.create(new_order(order_id))
    world = World(store, market=deque([RpcUnavailable("dead")] * 40))
    policy = OutagePolicy(failures_to_tell=8)
    for delivery in range(4):
        for order_id in orders:
            world.outages = fresh_worker(cloud, policy)
            outcome = world.worker().run(order_id, f"{order_id}/{delivery}")
            assert isinstance(outcome, ComeBack)
        world.now_ms += WAIT_MS

    assert sum(world.stored(order_id).retry_count for order_id in orders) == policy.failures_to_tell - 1
    assert all(world.stored(order_id).lease is None for order_id in orders)

    world.market.clear()
    for order_id in orders:
        world.outages = fresh_worker(cloud, policy)
        outcome = world.worker().run(order_id, f"{order_id}/last")
        assert isinstance(outcome, Finished)
        assert outcome.order.state is State.CONFIRMED


def test_an_order_whose_transaction_could_be_built_ends_the_outage_for_all(cloud: Cloud) -> None:
    store = cloud.store()
    assert store.create(new_order("order-1"))
    waits = [fresh_worker(cloud).failed(NOW_MS) for _ in range(POLICY.failures_to_tell)]
    assert waits[-1] == WAIT_MS
    world = World(store, outages=fresh_worker(cloud))
    assert isinstance(world.worker().run("order-1", "first/1"), Finished)
    assert fresh_worker(cloud).failed(world.now_ms) is None


def test_an_order_that_the_market_refuses_tells_nothing_about_the_outage(cloud: Cloud) -> None:
    store = cloud.store()
    assert store.create(new_order("order-1"))
    for _ in range(POLICY.failures_to_tell):
        fresh_worker(cloud).failed(NOW_MS)
    world = World(store, market=deque([NoPool("none")]), outages=fresh_worker(cloud))
    assert isinstance(world.worker().run("order-1", "first/1"), Finished)
    assert fresh_worker(cloud).failed(world.now_ms) == WAIT_MS


def test_an_outage_in_the_midst_of_building_makes_the_order_wait_too(cloud: Cloud) -> None:
    store = cloud.store()
    assert store.create(new_order("order-1"))
    world = World(store, building=deque([RpcUnavailable("dead")] * 3), outages=fresh_worker(cloud, OutagePolicy(1)))
    for delivery in range(3):
        assert world.worker().run("order-1", f"any/{delivery}") == ComeBack(WAIT_MS, "no Solana node answers")
        world.now_ms += WAIT_MS
    outcome = world.worker().run("order-1", "last/1")
    assert isinstance(outcome, Finished)
    assert (outcome.order.state, outcome.order.retry_count) == (State.CONFIRMED, 0)
