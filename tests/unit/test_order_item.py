"""The stored form of an order: what queries and indexes use stays where it is, and items of every version are read."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel, to_snake
from solders.keypair import Keypair

from bench.cost.capacity import item_bytes
from chalicelib.aws.dynamodb.attribute_values import deserialize, serialize
from chalicelib.aws.dynamodb.order_item import item_to_order, order_to_item
from chalicelib.orders.life import (
    MAX_OFFERS,
    as_created,
    as_written,
    choose_route,
    claim,
    fail_attempt,
    fill,
    fix_floor,
    place,
    reserve,
    sign,
    start_attempt,
)
from chalicelib.orders.order import HistoryStep, Leftover, Leg, Offer, Order
from chalicelib.orders.states import State
from chalicelib.risk.counters import Claims, Notional
from tests.sample_orders import CREATED_AT_MS, JUP, SOL, USDC, a_submission, new_order, order_in

Json = dict[str, Any]
# As version 0.1 of the service wrote the two orders below, byte for byte in DynamoDB's own JSON.
WRITTEN_BEFORE: Json = json.loads(Path(__file__).with_name("order_items_of_0_1.json").read_text())


def submitted_over_two_hops() -> Order:
    """An order that waited for its slot, failed once, and now has a transaction on its way, held by a worker."""
    route = (
        Leg("raydium", "Raydium1111111111111111111111111111111111111", 1_000_000, SOL, USDC, 10**10, 1_500_000_000),
        Leg("meteora", "Meteora1111111111111111111111111111111111111", 1_000_000, USDC, JUP, 1_499_000_000, 2 * 10**9),
    )
    now_ms = CREATED_AT_MS + 4000
    unplaced = replace(new_order(token_out=JUP), history=(), correlation_id="checkout-7f3a")
    order = as_created(place(unplaced, now_ms))
    order = start_attempt(claim(order, "worker/1", now_ms, 25_000), now_ms + 1)
    order = fail_attempt(order, "no answer", "RPC_UNAVAILABLE", now_ms + 2, retry=True)
    order = start_attempt(claim(order, "worker/2", now_ms + 1002, 25_000), now_ms + 1002)
    order = choose_route(fix_floor(order, 2_000_000_000), route, 2_000_000_000, now_ms + 1003)
    order = reserve(order, Notional("2025-10-09", 1_500_000_000))
    return as_written(sign(order, a_submission(2), now_ms + 1004))


def filled_over_two_hops() -> Order:
    submitted = submitted_over_two_hops()
    return as_written(fill(submitted, 1_999_000_000, CREATED_AT_MS + 5404, (Leftover(USDC, 1_000_000),)))


ORDERS = {"submitted": submitted_over_two_hops(), "confirmed": filled_over_two_hops()}


def bytes_of(value: Any) -> Any:
    """DynamoDB's JSON with its binaries as bytes."""
    if isinstance(value, dict):
        return {name: base64.b64decode(held) if name == "B" else bytes_of(held) for name, held in value.items()}
    return [bytes_of(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ORDERS)
def test_an_item_that_an_earlier_version_wrote_is_the_same_order_today(name: str) -> None:
    order = item_to_order(deserialize(bytes_of(WRITTEN_BEFORE[name])))
    assert order == ORDERS[name]
    assert order.booked == ORDERS[name].booked


@pytest.mark.parametrize("name", ORDERS)
def test_an_earlier_version_finds_all_that_it_knows_in_an_item_written_today(name: str) -> None:
    """While a deploy runs both versions are at work, and one may be rolled back to."""
    written = serialize(order_to_item(ORDERS[name]))
    assert {**written, **bytes_of(WRITTEN_BEFORE[name])} == written


def test_an_item_of_before_there_were_counters_or_correlation_ids_is_in_no_counter() -> None:
    item = bytes_of(WRITTEN_BEFORE["confirmed"])
    order = item_to_order(deserialize({name: item[name] for name in item if name not in ("booked", "correlationId")}))
    assert (order.booked, order.correlation_id) == (Claims(), "")


@pytest.mark.parametrize("state", State)
def test_an_order_in_any_state_is_read_as_it_was_written(state: State) -> None:
    order = order_in(state)
    assert item_to_order(deserialize(serialize(order_to_item(order)))) == order


def with_quotes(offers: int) -> Order:
    """An order whose route was chosen among so many pools."""
    now_ms = CREATED_AT_MS + 1000
    order = start_attempt(claim(as_created(new_order()), "worker/1", now_ms, 25_000), now_ms)
    leg = Leg("raydium", "Raydium1111111111111111111111111111111111111", 1_000_000, SOL, USDC, 10**10, 1_500_000_000)
    quotes = tuple(
        Offer(
            dex="raydium",
            pool=str(Keypair().pubkey()),
            amount_out=10**9 - number,
            price_impact_ppm=1_250,
            fee=25_000_000,
            program="raydium-cpmm",
        )
        for number in range(offers)
    )
    return as_written(choose_route(fix_floor(order, 10**9), (leg,), 10**9, now_ms, quotes))


def test_quotes_are_read_as_they_were_written_and_stand_in_a_third_of_their_size() -> None:
    order = with_quotes(MAX_OFFERS)
    item = serialize(order_to_item(order))
    assert item_to_order(deserialize(item)) == order
    as_a_list = serialize({"quotes": [asdict(offer) for offer in order.quotes or ()]})
    assert len(item["quotes"]["B"]) * 3 < item_bytes(as_a_list)


def test_quotes_that_stand_as_a_list_are_read_too() -> None:
    order = with_quotes(2)
    item = order_to_item(order)
    quotes = [{to_camel(name): value for name, value in asdict(offer).items()} for offer in order.quotes or ()]
    assert item_to_order(deserialize(serialize({**item, "quotes": quotes}))) == order


@pytest.mark.parametrize("kind", [Order, HistoryStep, Leg])
def test_every_fields_name_comes_back_from_its_name_in_the_item(kind: type[Order | HistoryStep | Leg]) -> None:
    for each in fields(kind):
        assert to_snake(to_camel(each.name)) == each.name


def test_what_is_no_order_is_refused() -> None:
    item = bytes_of(WRITTEN_BEFORE["confirmed"])
    wrongs: list[Json] = [{"state": {"S": "lost"}}, {"amount": {"S": "ten"}}, {"history": {"L": [{"M": {}}]}}]
    wrongs += [{"quotes": {"B": b"not zlib"}}, {"quotes": {"B": zlib.compress(b"[{}]")}}]
    for wrong in wrongs:
        with pytest.raises((KeyError, ValueError)):
            item_to_order(deserialize({**item, **wrong}))
    with pytest.raises(KeyError):
        item_to_order({})
