"""What an account has and had, over HTTP: balances, fills, times, and many orders cancelled at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlencode

import pytest
from solders.pubkey import Pubkey

from chalicelib.access.keys import Scope
from chalicelib.orders.life import place
from chalicelib.orders.order import Order, Token
from chalicelib.risk.counters import NetworkFees
from chalicelib.solana.tokens import TOKEN_PROGRAM, associated_token_address
from chalicelib.solana.wallet import LocalWallet
from chalicelib.times import time_text
from testing.localnet import Localnet
from tests.integration.cloud import Cloud, Json
from tests.integration.web import Web, fields, problem
from tests.sample_orders import (
    CREATED_AT_MS,
    JUP,
    ROUTE,
    SOL,
    USDC,
    cancelled,
    confirmed,
    failed,
    new_order,
    submitted,
    waiting_order,
)


def filled(order_id: str, at_ms: int, token_in: Token = SOL, token_out: Token = USDC, **more: object) -> Order:
    """An order that was filled at that time."""
    order = confirmed(new_order(order_id, created_at_ms=at_ms - 40, token_in=token_in, token_out=token_out))
    assert order.updated_at_ms == at_ms
    return replace(order, **more)  # type: ignore[arg-type]


def asked(web: Web, path: str, **query: object) -> Json:
    return web.json("GET", f"{path}?{urlencode(query)}")


def ids(answer: Json) -> list[str]:
    return [one["orderId"] for one in answer["fills" if "fills" in answer else "orders"]]


# --- GET /fills -----------------------------------------------------------------------------------------------------


def test_a_fill_is_told_with_its_costs_and_against_what_was_promised_to_the_last_digit(web: Web) -> None:
    legs = (replace(ROUTE[0], fee=15_000_000, fee_token=SOL), replace(ROUTE[1], fee=600_000, fee_token=USDC))
    fees = (NetworkFees("2025-10-09", 7_000), NetworkFees("2025-10-09", 5_073))
    order = filled("done", CREATED_AT_MS, route=legs, fees_paid=fees)
    web.cloud.store().create(order)

    (fill,) = asked(web, "/fills")["fills"]
    assert fill["orderId"] == "done"
    assert fill["at"] == time_text(CREATED_AT_MS)
    assert (fill["tokenIn"], fill["mintIn"], fill["amountIn"]) == ("SOL", SOL.mint, "10")
    assert (fill["tokenOut"], fill["mintOut"], fill["amountOut"]) == ("USDC", USDC.mint, "1498.765432")
    assert fill["price"] == "149.8765432"
    assert [leg["pool"] for leg in fill["route"]] == [leg.pool for leg in legs]
    assert fill["poolFees"] == [{"mint": SOL.mint, "amount": "0.015"}, {"mint": USDC.mint, "amount": "0.6"}]
    assert fill["networkFee"] == "0.000005073", "what failed before it cost is the order's, and not the fill's"
    assert fill["txHash"] == order.tx_hash
    for name, reference in (("vsQuoteBps", order.first_quoted_out), ("vsFloorBps", order.min_out)):
        assert order.amount_out is not None
        assert reference is not None
        exact = Fraction((order.amount_out - reference) * 10_000, reference)
        assert abs(Fraction(fill[name]) - exact) <= abs(exact) * Fraction(1, 10**17)
    assert Decimal(fill["vsQuoteBps"]) < 0 < Decimal(fill["vsFloorBps"])


def test_only_what_was_traded_is_a_fill_and_the_latest_fill_is_first(web: Web) -> None:
    late = filled("late", CREATED_AT_MS + 2)
    for order in (late, filled("early", CREATED_AT_MS), failed(new_order("failed")), cancelled(new_order("cancelled"))):
        web.cloud.store().create(order)
    web.cloud.store().create(submitted(new_order("on-its-way")))
    parent = replace(confirmed(new_order("parent")), tx_hash=None)
    web.cloud.store().create(parent)
    assert ids(asked(web, "/fills")) == ["late", "early"]


def test_an_order_that_is_filled_after_others_that_were_placed_later_comes_before_them(web: Web) -> None:
    store = web.cloud.store()
    store.create(submitted(new_order("waited", created_at_ms=CREATED_AT_MS - 1_000)))
    store.create(filled("quick", CREATED_AT_MS))
    waited = confirmed(new_order("waited", created_at_ms=CREATED_AT_MS + 1_000))
    store.replace(replace(waited, created_at_ms=CREATED_AT_MS - 1_000, revision=0))
    assert ids(asked(web, "/fills")) == ["waited", "quick"]


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(web: Web) -> None:
    for number in range(3):
        web.cloud.store().create(filled(f"fill-{number}", CREATED_AT_MS + number))
    first, second, third = (time_text(CREATED_AT_MS + number) for number in range(3))
    assert ids(asked(web, "/fills", **{"from": first, "to": third})) == ["fill-1", "fill-0"]
    assert ids(asked(web, "/fills", **{"from": second})) == ["fill-2", "fill-1"]
    assert ids(asked(web, "/fills", to=second)) == ["fill-0"]
    assert ids(asked(web, "/fills", **{"from": "2001-01-01T00:00:00+02:00", "to": "2002-01-01T00:00:00Z"})) == []


def test_fills_come_page_by_page_none_twice_and_none_left_out_and_each_page_has_its_sums(web: Web) -> None:
    for number in range(5):
        web.cloud.store().create(filled(f"fill-{number}", CREATED_AT_MS + number // 2))
    web.cloud.store().create(filled("other", CREATED_AT_MS + 9, token_out=JUP))
    seen: list[str] = []
    query: dict[str, object] = {"limit": 2}
    while True:
        page = asked(web, "/fills", **query)
        seen += ids(page)
        assert sum(each["count"] for each in page["sums"]) == len(page["fills"])
        for each in page["sums"]:
            same = [fill for fill in page["fills"] if fill["mintOut"] == each["mintOut"]]
            assert Decimal(each["amountIn"]) == sum(Decimal(fill["amountIn"]) for fill in same)
            assert Decimal(each["amountOut"]) == sum(Decimal(fill["amountOut"]) for fill in same)
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert seen == ["other", "fill-4", "fill-3", "fill-2", "fill-1", "fill-0"]


def test_a_cursor_of_another_period_tells_nothing_outside_of_this_one(web: Web) -> None:
    for number in range(4):
        web.cloud.store().create(filled(f"fill-{number}", CREATED_AT_MS + number))
    newest, oldest = (asked(web, "/fills", limit=limit)["nextCursor"] for limit in (1, 3))
    since = time_text(CREATED_AT_MS + 2)
    assert ids(asked(web, "/fills", to=since, cursor=newest)) == ["fill-1", "fill-0"]
    assert ids(asked(web, "/fills", **{"from": since, "cursor": oldest})) == []
    for path in ("/fills", "/orders"):
        assert fields(web("GET", f"{path}?cursor=AAAA")) == ["cursor"]


def test_fills_of_one_token_are_found_by_symbol_and_by_mint_also_when_it_is_traded_no_longer(web: Web) -> None:
    gone = Token("GONE", str(Pubkey.new_unique()), 6)
    web.cloud.store().create(filled("sol-usdc", CREATED_AT_MS))
    web.cloud.store().create(filled("jup-usdc", CREATED_AT_MS + 1, token_in=JUP))
    web.cloud.store().create(filled("jup-gone", CREATED_AT_MS + 2, token_in=JUP, token_out=gone))
    assert ids(asked(web, "/fills", token="usdc")) == ["jup-usdc", "sol-usdc"]
    assert ids(asked(web, "/fills", token=JUP.mint)) == ["jup-gone", "jup-usdc"]
    assert ids(asked(web, "/fills", token=gone.mint)) == ["jup-gone"]
    assert fields(web("GET", "/fills?token=GONE")) == ["token"]


def test_no_account_sees_anothers_fills(web: Web) -> None:
    web.cloud.store().create(confirmed(new_order("theirs", account="other")))
    assert ids(asked(web, "/fills")) == []


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"from": "yesterday"}, ["from"]),
        ({"to": "2026-01-01T00:00:00"}, ["to"]),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, ["to"]),
        ({"format": "xml"}, ["format"]),
        ({"limit": "1001"}, ["limit"]),
        ({"token": "x" * 45}, ["token"]),
        ({"since": "2026-01-01T00:00:00Z"}, ["since"]),
    ],
)
def test_each_wrong_parameter_of_the_fills_is_named(web: Web, query: dict[str, str], wrong: list[str]) -> None:
    assert fields(web("GET", f"/fills?{urlencode(query)}")) == wrong


def test_as_csv_each_fill_is_a_line_under_the_names_of_its_fields(web: Web) -> None:
    for number in range(3):
        web.cloud.store().create(filled(f"fill-{number}", CREATED_AT_MS + number))
    response = web("GET", "/fills?format=csv&limit=2")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.body.decode())))
    assert [row["orderId"] for row in rows] == ["fill-2", "fill-1"]
    (fill, _) = asked(web, "/fills", limit=2)["fills"]
    for name in fill.keys() - {"route", "poolFees"}:
        assert rows[0][name] == str(fill[name])
    rest = web("GET", f"/fills?{urlencode({'format': 'csv', 'cursor': response.headers['Next-Cursor']})}")
    assert [row["orderId"] for row in csv.DictReader(io.StringIO(rest.body.decode()))] == ["fill-0"]
    assert "Next-Cursor" not in rest.headers


def test_no_cell_of_the_csv_is_a_formula_to_a_spreadsheet(web: Web) -> None:
    names = ["=HYPERLINK(1)", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", " =1", 'a"b,c\nd', "-"]
    for number, name in enumerate(names):
        token = Token(name, str(Pubkey.new_unique()), 6)
        web.cloud.store().create(filled(f"fill-{number}", CREATED_AT_MS - number, token_out=token))
    rows = list(csv.DictReader(io.StringIO(web("GET", "/fills?format=csv").body.decode(), newline="")))
    assert [row["tokenOut"] for row in rows] == [name if name == 'a"b,c\nd' else f"'{name}" for name in names]
    assert all(Decimal(row["vsQuoteBps"]) < 0 for row in rows), "a number below zero is a number"


# --- GET /orders?from=&to= ------------------------------------------------------------------------------------------


def test_orders_are_listed_by_when_they_were_placed(web: Web) -> None:
    for number in range(4):
        web.cloud.store().create(new_order(f"order-{number}", created_at_ms=CREATED_AT_MS + number))
    first, third = time_text(CREATED_AT_MS), time_text(CREATED_AT_MS + 2)
    assert ids(asked(web, "/orders", **{"from": first, "to": third})) == ["order-1", "order-0"]
    assert ids(asked(web, "/orders", **{"from": third})) == ["order-3", "order-2"]
    page = asked(web, "/orders", limit=1)
    within = {"from": first, "to": third, "cursor": page["nextCursor"]}
    assert ids(asked(web, "/orders", **within)) == ["order-1", "order-0"]
    oldest = asked(web, "/orders", limit=3)["nextCursor"]
    assert asked(web, "/orders", **{"from": third, "cursor": oldest}) == {"orders": [], "nextCursor": None}
    assert fields(web("GET", f"/orders?{urlencode({'from': third, 'to': first})}")) == ["to"]
    for path in ("/orders", "/fills"):
        assert ids(asked(web, path, to="1969-12-31T00:00:00Z")) == [], "there is nothing so old"
        assert ids(asked(web, path, **{"from": "0001-01-01T00:00:00Z", "to": "1970-01-01T00:00:00Z"})) == []
        assert ids(asked(web, path, **{"from": "9999-12-31T23:59:59Z"})) == []


# --- DELETE /orders -------------------------------------------------------------------------------------------------


def test_everything_of_which_nothing_is_signed_is_cancelled_and_nothing_else(web: Web) -> None:
    waiting = [web.execute() for _ in range(3)]
    web.cloud.store().create(submitted(new_order("signed")))
    web.cloud.store().create(confirmed(new_order("done")))
    web.cloud.store().create(new_order("theirs", account="other"))
    assert web.json("DELETE", "/orders?status=unsigned") == {"cancelled": 3, "tooLate": [], "more": False}
    assert {web.json("GET", f"/orders/{order_id}")["status"] for order_id in waiting} == {"cancelled"}
    assert web.cloud.stored("signed").status == "submitted"
    assert web.cloud.stored("theirs").status == "pending"
    assert web.json("DELETE", "/orders?status=unsigned") == {"cancelled": 0, "tooLate": [], "more": False}
    web.cloud.assert_counters_add_up()


def test_the_newest_that_may_be_cancelled_are_found_first_and_no_more_than_asked_for(cloud: Cloud) -> None:
    store = cloud.store()
    for number in range(4):
        store.create(new_order(f"order-{number}", created_at_ms=CREATED_AT_MS + number))
    store.create(failed(new_order("ended", created_at_ms=CREATED_AT_MS + 1)))

    def found(at_most: int, placed_by_ms: int = CREATED_AT_MS + 9) -> list[str]:
        return store.cancellable("local", waiting_alone=False, placed_by_ms=placed_by_ms, at_most=at_most)

    assert found(2) == ["order-3", "order-2"]
    assert found(9) == ["order-3", "order-2", "order-1", "order-0"]
    assert found(9, placed_by_ms=CREATED_AT_MS + 1) == ["order-1", "order-0"]


def test_those_that_wait_for_a_condition_are_cancelled_alone_or_with_all_others(web: Web) -> None:
    store = web.cloud.store()
    for order_id in ("waits", "waits-too"):
        store.create(waiting_order("limit", order_id=order_id))
    store.create(new_order("starts"))
    assert web.json("DELETE", "/orders?status=open") == {"cancelled": 2, "tooLate": [], "more": False}
    assert web.cloud.stored("waits").status == "cancelled"
    assert web.cloud.stored("starts").status == "pending"
    store.create(waiting_order("stop", order_id="waits-again"))
    assert web.json("DELETE", "/orders?status=unsigned")["cancelled"] == 2
    assert web.cloud.stored("waits-again").status == "cancelled"
    web.cloud.assert_counters_add_up()


def test_what_was_placed_after_the_call_is_left_alone(web: Web) -> None:
    ahead = place(replace(new_order("later"), created_at_ms=2**42, history=()))
    web.cloud.store().create(ahead)
    assert web.json("DELETE", "/orders?status=unsigned")["cancelled"] == 0
    assert web.cloud.stored("later").status == "pending"


@pytest.mark.parametrize("query", ["", "?status=pending", "?status=", "?status=open&status=unsigned"])
def test_which_orders_are_to_be_cancelled_must_be_said(web: Web, query: str) -> None:
    assert fields(web("DELETE", f"/orders{query}")) == ["status"]


def test_a_key_that_may_only_read_cancels_nothing(web: Web) -> None:
    key = web.cloud.new_key("desk", Scope.READ).secret
    assert problem(web("DELETE", "/orders?status=unsigned", headers={"x-api-key": key}), 403)
    assert web("GET", "/fills", headers={"x-api-key": key}).status_code == 200


# --- GET /balances --------------------------------------------------------------------------------------------------


@pytest.fixture
def wallet(environment: Callable[..., None], wallet_file: Path) -> Pubkey:
    address = LocalWallet.load(wallet_file).address
    environment(WALLET_ADDRESS=str(address))
    return address


def test_every_traded_token_has_its_balance_as_the_chain_has_it(web: Web, wallet: Pubkey, localnet: Localnet) -> None:
    answer = web.json("GET", "/balances")
    assert answer["wallet"] == str(wallet)
    balances = {one["token"]: one for one in answer["balances"]}
    listed = {token["symbol"] or token["mint"]: token for token in web.json("GET", "/tokens")["tokens"]}
    assert balances.keys() == listed.keys()
    assert {one["mint"] for one in answer["balances"]} == {token["mint"] for token in listed.values()}
    lamports = localnet.call("getBalance", str(wallet))["value"]
    rent = localnet.call("getMinimumBalanceForRentExemption", 0)
    assert Decimal(balances["SOL"]["amount"]).scaleb(9) == lamports
    assert Decimal(balances["SOL"]["free"]).scaleb(9) == lamports - rent
    place = associated_token_address(wallet, Pubkey.from_string(USDC.mint), TOKEN_PROGRAM)
    held = localnet.call("getTokenAccountBalance", str(place))["value"]["amount"]
    assert Decimal(balances["USDC"]["amount"]).scaleb(6) == int(held) > 0
    assert balances["USDC"]["value"] == balances["USDC"]["amount"]
    # SOL is worth about as much as it is sold for
    sold = asked(web, "/quotes", tokenIn="SOL", tokenOut="USDC", amount="1")["amountOut"]
    worth = Decimal(balances["SOL"]["value"]) / Decimal(balances["SOL"]["amount"])
    assert abs(worth / Decimal(sold) - 1) < Decimal("0.05")
    assert all("free" not in one for token, one in balances.items() if token != "SOL")


def test_a_stage_that_does_not_know_its_wallet_says_so(web: Web) -> None:
    refused = problem(web("GET", "/balances"), 503)
    assert refused["type"] == "urn:fillrate:problem:wallet-unavailable"
    assert "address is not known" in refused["detail"]
