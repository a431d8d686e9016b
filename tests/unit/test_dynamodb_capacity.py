"""What DynamoDB bills for reads and writes, by the rules of its documentation."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bench.cost.capacity import Index, Item, Table, item_bytes, read_units, value_bytes

KEY: Item = {"orderId": {"S": "1"}, "item": {"S": "order"}}


def item(bytes_: int, **more: dict[str, str]) -> Item:
    """An item of exactly so many bytes."""
    bare = {**KEY, **more, "x": {"S": ""}}
    return {**bare, "x": {"S": "x" * (bytes_ - item_bytes(bare))}}


def table(*indexes: Index) -> Table:
    return Table(("orderId", "item"), indexes)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "abc"}, 3),
        ({"S": "é"}, 2),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"N": "7"}, 2),
        ({"N": "123456"}, 4),
        ({"N": "-12"}, 3),
        ({"N": "1000000"}, 2),  # zeros at the end aren't kept
        ({"B": "AAAA"}, 3),
        ({"B": b"AAAA"}, 4),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"S": "c"}]}, 3 + 3 + 2),
        ({"M": {"ab": {"S": "c"}}}, 3 + 1 + 2 + 1),
        ({"SS": ["ab", "c"]}, 3),
    ],
)
def test_a_value_is_as_large_as_its_type_says(value: dict[str, object], size: int) -> None:
    assert value_bytes(value) == size


@pytest.mark.parametrize(("size", "units"), [(100, 1), (1024, 1), (1025, 2), (2048, 2), (2049, 3)])
def test_a_write_is_a_unit_for_each_kilobyte(size: int, units: int) -> None:
    assert table().written(KEY, item(size)) == {"": units}


def test_a_write_over_a_larger_item_and_a_deletion_cost_what_was_there() -> None:
    orders = table()
    orders.written(KEY, item(3000))
    assert orders.written(KEY, item(100)) == {"": 1 + 2}
    assert orders.written(KEY, None) == {"": 1}
    assert orders.written(KEY, None) == {"": 1}


def test_an_index_of_whole_items_is_written_with_every_change() -> None:
    orders = table(Index("byAccount", ("account",), whole=True))
    assert orders.written(KEY, item(2000)) == {"": 2, "byAccount": 0}
    assert orders.written(KEY, item(2000, account={"S": "a"})) == {"": 2, "byAccount": 2}
    assert orders.written(KEY, item(1500, account={"S": "a"})) == {"": 2, "byAccount": 2}
    assert orders.written(KEY, item(1500, account={"S": "a"})) == {"": 2, "byAccount": 0}


def test_an_index_of_keys_costs_only_where_a_key_changes_and_then_twice() -> None:
    orders = table(Index("byDue", ("openShard", "dueAtMs"), whole=False))
    due = {"openShard": {"S": "open#1"}, "dueAtMs": {"N": "1"}}
    later = {**due, "dueAtMs": {"N": "2"}}
    assert orders.written(KEY, item(2000, **due))["byDue"] == 1
    assert orders.written(KEY, item(1900, **due))["byDue"] == 0
    assert orders.written(KEY, item(1900, **later))["byDue"] == 2
    assert orders.written(KEY, item(1900))["byDue"] == 1


@pytest.mark.parametrize(("size", "units"), [(100, 1), (4096, 1), (4097, 2)])
def test_a_consistent_read_is_a_unit_for_each_four_kilobytes_and_another_half_of_it(size: int, units: int) -> None:
    assert read_units([item(size)], consistent=True) == units
    assert read_units([item(size)], consistent=False) == Decimal(units) / 2


def test_a_query_is_rounded_once_for_all_its_items_and_one_that_finds_nothing_still_costs() -> None:
    assert read_units([item(2048), item(2048)], consistent=True) == 1
    assert read_units([], consistent=True) == 1
