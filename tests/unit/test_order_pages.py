"""The examples on the pages of orders that wait are what the orders do, to the unit; their commands are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fillrate.cli.main import app
from typer.main import get_command

from chalicelib.amounts import parse_decimal, to_base_units, to_text
from chalicelib.contract.requests import OrderRequest, parse_body, validate
from chalicelib.http.api import new_order_of
from chalicelib.orders.order import Order, TriggerKind
from chalicelib.orders.states import State
from chalicelib.orders.triggers import followed, judge, triggered
from tests.sample_orders import CREATED_AT_MS
from tests.unit.test_intake_decisions import Desk, Tokens

PAGES = sorted((Path(__file__).parents[2] / "docs" / "orders").glob("*.md"))
COLUMNS = {"pays": "the best route pays for all of it", "stop": "the stop is at", "order": "the order"}


def placed(page: str) -> Order:
    (body,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    asked = new_order_of(Tokens(), validate(OrderRequest, parse_body(body)), {})
    order = Desk().intake.as_placed("mine", asked)
    assert order.state is State.OPEN
    assert order.type == json.loads(body)["type"]
    return order


def rows(page: str) -> list[dict[str, str]]:
    table = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")
    ]
    heads, *lines = table
    assert set(heads) <= set(COLUMNS.values())
    return [dict(zip(heads, line, strict=True)) for line in lines]


def sold_at_least(order: Order, paid: int) -> str:
    kind = judge(order, paid)
    if kind is None:
        return "waits"
    floor = triggered(order, kind, paid, 1, CREATED_AT_MS).min_out
    assert floor is not None
    return f"is sold for {to_text(floor, 6)} USDC or more"


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_each_line_of_an_example_is_what_the_order_does(page: Path) -> None:
    text = page.read_text()
    order, told = placed(text), rows(text)
    assert len(told) >= 4
    for row in told:
        amount, token = row[COLUMNS["pays"]].split()
        assert token == "USDC"
        paid = to_base_units(parse_decimal(amount, "amount"), 6, "amount")
        if order.trailing_ppm is not None:
            order = followed(order, paid, CREATED_AT_MS)
            assert row[COLUMNS["stop"]] == order.stop_price
        assert sold_at_least(order, paid) == row[COLUMNS["order"]], row


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_each_command_of_a_page_is_one_that_there_is_with_the_options_that_it_names(page: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    lines = re.findall(r"^fillrate (\S+)(.*)$", page.read_text(), re.MULTILINE)
    assert lines
    for name, rest in lines:
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= known, (name, rest)


def test_a_stops_page_begins_with_what_a_stop_does_not_promise() -> None:
    for name in ("stop", "trailing", "oco"):
        (page,) = (one for one in PAGES if one.stem == name)
        first = page.read_text().split("\n\n")[1].replace("\n", " ")
        assert "fall deeper than its `slippage`" in first
        assert "does not fill" in first


def test_the_pages_name_every_type_that_waits() -> None:
    waits = {kind.value for kind in TriggerKind} | {"oco"}
    assert waits <= {page.stem for page in PAGES}
