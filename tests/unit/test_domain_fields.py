"""How a field of a dataclass looks to clients follows from its name and type, in the JSON and in its schema alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from jsonschema_rs import Draft202012Validator

from chalicelib.contract.domain_fields import ModelOf, json_of
from chalicelib.contract.json_schema import schemas_of
from chalicelib.orders.field_types import AmountOfToken, AmountOut, BaseUnitsOf, Millionths, Ordinal, TimeMs
from chalicelib.orders.order import Token
from chalicelib.orders.states import Status
from tests.sample_orders import CREATED_AT_MS, SOL, USDC, confirmed

Json = dict[str, Any]


@dataclass(frozen=True)
class Trigger:
    """What set it off."""

    token: Token
    price: AmountOfToken
    seen: tuple[TimeMs, ...]


@dataclass(frozen=True)
class Watch:
    """Every kind of field."""

    number: Ordinal
    status: Status
    count: int
    wait_ms: int
    part_ppm: Millionths
    until_ms: TimeMs
    token_in: Token
    token_out: Token
    floor: AmountOut
    spent: Annotated[int, BaseUnitsOf("token_in")]
    next_one: str | None
    trigger: Trigger | None = None
    is_last: bool | None = None


WATCH = Watch(1, Status.PENDING, 0, 1500, 12_500, CREATED_AT_MS, SOL, USDC, 1_500_000, 2 * 10**9, None)
TRIGGERED = Watch(
    *(2, Status.ROUTING, 3, 0, 1_000_000, CREATED_AT_MS, SOL, USDC, 1, 1, "more"),
    Trigger(USDC, 149_500_000, (CREATED_AT_MS,)),
    is_last=False,
)


def schema() -> Json:
    schemas = schemas_of([("Watch", "serialization", Annotated[Json, ModelOf(Watch)])])
    return {"$ref": "#/components/schemas/Watch", "components": {"schemas": schemas}}


def test_each_type_has_its_form_and_a_unit_in_a_name_goes_where_the_value_is_text() -> None:
    assert json_of(WATCH) == {
        "number": 1,
        "status": "pending",
        "count": 0,
        "waitMs": 1500,
        "part": "0.0125",
        "until": "2025-10-09T08:53:20.123Z",
        "tokenIn": "SOL",
        "tokenOut": "USDC",
        "floor": "1.5",
        "spent": "2",
        "nextOne": None,
    }


def test_what_is_held_within_counts_in_its_own_tokens() -> None:
    shown = json_of(TRIGGERED)
    assert shown["trigger"] == {"token": "USDC", "price": "149.5", "seen": ["2025-10-09T08:53:20.123Z"]}
    assert shown["isLast"] is False


def test_an_amount_without_a_token_of_its_own_counts_in_that_of_what_is_around_it() -> None:
    order = confirmed()
    assert json_of(order.history[-1], within=(order,))["amountOut"] == "1498.765432"


@pytest.mark.parametrize("watch", [WATCH, TRIGGERED])
def test_the_schema_takes_what_is_written(watch: Watch) -> None:
    assert [error.message for error in Draft202012Validator(schema()).iter_errors(json_of(watch))] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": 0},
        {"count": -1},
        {"part": "12.5%"},
        {"until": "2025-10-09"},
        {"floor": "1.50"},
        {"isLast": None},
        {"trigger": {"token": "USDC"}},
        {"more": 1},
    ],
)
def test_the_schema_takes_nothing_else(wrong: Json) -> None:
    assert not Draft202012Validator(schema()).is_valid({**json_of(WATCH), **wrong})


def test_a_type_that_no_rule_is_for_is_an_error_and_not_shown_somehow() -> None:
    @dataclass(frozen=True)
    class Odd:
        ratio: float

    with pytest.raises(TypeError, match="no rule"):
        json_of(Odd(0.5))
