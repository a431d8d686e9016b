"""Limit, stop, trailing and oco orders over HTTP: taken, refused, changed, cancelled, carried out once triggered."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from chalicelib import composition
from chalicelib.access.keys import Scope
from chalicelib.orders.order import Order
from chalicelib.orders.triggers import judge, latched, triggered
from chalicelib.times import parse_time, time_text
from tests.integration.cloud import Json
from tests.integration.web import ORDER, Web, without_ticket

EXECUTE = "/orders/execute"
DAY_MS = 86_400_000


def show(web: Web, order_id: str) -> Json:
    return without_ticket(web.json("GET", f"/orders/{order_id}"))


def market_out(web: Web) -> Decimal:
    return Decimal(web.json("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=0.5")["amountOut"])


def market_price(web: Web) -> Decimal:
    return market_out(web) / Decimal("0.5")


def problem(web: Web, method: str, path: str, body: object, status: int) -> dict[str, str]:
    response = web(method, path, body)
    assert response.status_code == status, response.body
    return {error["field"]: error["message"] for error in response.json_body.get("errors", [])}


def set_off(web: Web, order_id: str, amount_out: Decimal | None = None) -> Order:
    """Hand the order over as a watcher does that sees `amount_out`, or what the market pays."""
    seen = int((market_out(web) if amount_out is None else amount_out) * 10**6)
    order = web.cloud.stored(order_id)
    kind = judge(order, seen)
    assert kind is not None
    handed = composition.order_store().replace(triggered(order, kind, seen, 7, composition.now_ms()))
    composition.orders_queue().enqueue(order_id)
    return handed


# --- placed -------------------------------------------------------------------------------------------------------


def test_an_order_that_waits_is_open_for_a_day_and_shows_its_prices(web: Web) -> None:
    accepted = web.json("POST", EXECUTE, {**ORDER, "type": "oco", "limitPrice": "200.50", "stopPrice": 100})
    assert accepted["status"] == "open"
    shown = show(web, accepted["orderId"])
    assert (shown["type"], shown["status"], shown["maxTries"]) == ("oco", "open", 10)
    (step,) = shown["history"]
    for told in (shown, step):
        assert (told["limitPrice"], told["stopPrice"]) == ("200.5", "100")
    assert (step["seq"], step["status"]) == (1, "open")
    assert parse_time(shown["expiresAt"]) - parse_time(shown["createdAt"]) == DAY_MS
    (listed,) = web.json("GET", "/orders?status=open")["orders"]
    assert listed == shown
    assert not web.cloud.receive(), "no worker has to do with it yet"


def test_a_limits_floor_is_told_from_the_first_step_on(web: Web) -> None:
    shown = show(web, web.execute(type="limit", limitPrice="200.0000001"))
    assert shown["minOut"] == shown["history"][0]["minOut"] == "100.000001", "rounded up to a base unit"
    assert show(web, web.execute(type="limit", limitPrice="200", minOut="101"))["minOut"] == "101"


def test_a_trailing_stop_begins_below_what_the_market_pays_at_its_placing(web: Web) -> None:
    best = market_out(web)
    shown = show(web, web.execute(type="stop", trailing="0.1"))
    assert shown["trailing"] == "0.1"
    stop = Decimal(int(best * 10**6 * 9 // 10)) / 10**6
    assert Decimal(shown["stopPrice"]) * Decimal("0.5") == stop


WRONG: list[tuple[Json, set[str]]] = [
    ({"type": "limit"}, {"limitPrice"}),
    ({"type": "stop"}, {"stopPrice"}),
    ({"type": "oco", "limitPrice": "200"}, {"stopPrice"}),
    ({"type": "oco", "stopPrice": "100"}, {"limitPrice"}),
    ({"type": "market", "limitPrice": "200"}, {"limitPrice"}),
    ({"type": "market", "stopPrice": "1", "trailing": "0.1", "maxTries": 2}, {"stopPrice", "trailing", "maxTries"}),
    ({"type": "limit", "limitPrice": "200", "stopPrice": "100"}, {"stopPrice"}),
    ({"type": "stop", "limitPrice": "200", "stopPrice": "100"}, {"limitPrice"}),
    ({"type": "stop", "stopPrice": "100", "trailing": "0.1"}, {"stopPrice", "trailing"}),
    ({"type": "oco", "limitPrice": "100", "stopPrice": "100"}, {"limitPrice", "stopPrice"}),
    ({"type": "limit", "limitPrice": "0"}, {"limitPrice"}),
    ({"type": "limit", "limitPrice": "-1"}, {"limitPrice"}),
    ({"type": "limit", "limitPrice": None}, {"limitPrice"}),
    ({"type": "limit", "limitPrice": "1e40"}, {"limitPrice"}),
    ({"type": "limit", "limitPrice": "0.0000001"}, {"limitPrice"}),
    ({"type": "limit", "limitPrice": "nan"}, {"limitPrice"}),
    ({"type": "limit", "limitPrice": "9" * 65}, {"limitPrice"}),
    ({"type": "limit", "limitPrice": "200", "maxTries": 0}, {"maxTries"}),
    ({"type": "limit", "limitPrice": "200", "maxTries": "3"}, {"maxTries"}),
    ({"type": "limit", "limitPrice": "200", "force": "yes"}, {"force"}),
    ({"type": "stop", "trailing": "0"}, {"trailing"}),
    ({"type": "stop", "trailing": "1"}, {"trailing"}),
    ({"type": "stop", "trailing": "0.0000001"}, {"trailing"}),
    ({"type": "twig", "limitPrice": "200"}, {"type"}),
    ({"type": "limit", "limitPrice": "0", "amount": "0", "tokenOut": "NOPE"}, {"limitPrice", "amount", "tokenOut"}),
]


def test_a_wrong_missing_or_foreign_field_is_named_and_nothing_is_stored(web: Web) -> None:
    for body, wrong in WRONG:
        named = problem(web, "POST", EXECUTE, {**ORDER, **body}, 400)
        assert set(named) == wrong, body
        assert all(named.values())
        assert set(problem(web, "POST", EXECUTE, {**ORDER, **body, "dryRun": True}, 400)) == wrong
    assert web.json("GET", "/orders")["orders"] == []


def test_a_price_of_forty_digits_is_kept_to_the_last(web: Web) -> None:
    price = "200.0000000000000000000000000000000000001"
    assert show(web, web.execute(type="limit", limitPrice=price))["limitPrice"] == price


MISTAKEN: list[tuple[Json, str]] = [
    ({"type": "stop", "stopPrice": "1000"}, "stopPrice"),
    ({"type": "limit", "limitPrice": "100000"}, "limitPrice"),
    ({"type": "limit", "limitPrice": "0.1"}, "limitPrice"),
]


def test_a_price_that_looks_like_a_mistake_is_refused_with_its_number_unless_it_is_meant(
    web: Web,
) -> None:
    for body, field in MISTAKEN:
        named = problem(web, "POST", EXECUTE, {**ORDER, **body}, 422)
        assert list(named) == [field]
        assert f"{market_price(web).normalize():f}" in named[field]
        tried = web.json("POST", EXECUTE, {**ORDER, **body, "dryRun": True})
        assert [refusal["errorCode"] for refusal in tried["refusals"]] == ["IMPLAUSIBLE_PRICE"]
        assert show(web, web.execute(**body, force=True))["status"] == "open"


def test_a_dry_run_says_what_would_be_signed_if_the_price_is_reached(web: Web) -> None:
    far = web.json("POST", EXECUTE, {**ORDER, "type": "limit", "limitPrice": "200", "dryRun": True})
    assert (far["wouldAccept"], far["immediate"], far["minOut"]) == (True, False, "100")
    assert "not reached" in far["simulation"]["error"]
    near = web.json("POST", EXECUTE, {**ORDER, "type": "limit", "limitPrice": "10", "dryRun": True})
    assert (near["wouldAccept"], near["immediate"], near["minOut"]) == (True, True, "5")
    assert web.json("GET", "/orders")["orders"] == []


def test_open_orders_that_together_sell_more_than_the_wallet_has_are_warned_of(
    web: Web, environment: Callable[..., None]
) -> None:
    environment(WALLET_ADDRESS=str(composition.wallet().address))
    held = Decimal(next(one for one in web.json("GET", "/balances")["balances"] if one["token"] == "SOL")["amount"])
    body = {**ORDER, "type": "limit", "limitPrice": "200"}
    part = f"{(held * 2 / 3).quantize(Decimal('0.000000001')):f}"
    assert "warnings" not in web.json("POST", EXECUTE, {**body, "amount": part})
    (tried,) = web.json("POST", EXECUTE, {**body, "amount": part, "dryRun": True})["warnings"]
    (placed,) = web.json("POST", EXECUTE, {**body, "amount": part})["warnings"]
    assert tried == placed
    assert f"the wallet has {held.normalize():f}" in placed


# --- changed and cancelled ----------------------------------------------------------------------------------------


def test_a_change_is_a_step_that_tells_the_prices_from_then_on(web: Web) -> None:
    order_id = web.execute(type="oco", limitPrice="200", stopPrice="100")
    until = time_text(composition.now_ms() + 3 * DAY_MS)
    changed = web.json("PATCH", f"/orders/{order_id}", {"limitPrice": "190", "expiresAt": until, "slippage": "0.02"})
    assert (changed["limitPrice"], changed["stopPrice"], changed["slippage"]) == ("190", "100", "0.02")
    assert changed["expiresAt"] == until
    assert [(step["seq"], step["status"], step["limitPrice"]) for step in changed["history"]] == [
        (1, "open", "200"),
        (2, "open", "190"),
    ]


def test_the_least_may_be_raised_lowered_and_removed(web: Web) -> None:
    order_id = web.execute(type="limit", limitPrice="200", minOut="120")
    path = f"/orders/{order_id}"
    assert web.json("PATCH", path, {"minOut": "130"})["minOut"] == "130"
    assert web.json("PATCH", path, {"minOut": None})["minOut"] == "100"
    assert web.json("PATCH", path, {"limitPrice": "180"})["minOut"] == "90"


def test_a_market_order_is_changed_until_its_first_quote(web: Web) -> None:
    order_id = web.execute(minOut="10")
    path = f"/orders/{order_id}"
    changed = web.json("PATCH", path, {"minOut": "11", "slippage": "0.05"})
    assert (changed["minOut"], changed["slippage"], changed["status"]) == ("11", "0.05", "pending")
    assert set(problem(web, "PATCH", path, {"limitPrice": "200"}, 400)) == {"limitPrice"}
    web.work()
    assert show(web, order_id)["status"] == "confirmed"
    problem(web, "PATCH", path, {"minOut": "12"}, 409)


WRONG_CHANGES: list[tuple[Json, set[str]]] = [
    ({}, {"body"}),
    ({"force": True}, {"body"}),
    ({"limitPrice": "200"}, {"limitPrice"}),
    ({"stopPrice": None}, {"stopPrice"}),
    ({"stopPrice": "0"}, {"stopPrice"}),
    ({"stopPrice": "90", "trailing": "0.1"}, {"stopPrice", "trailing"}),
    ({"slippage": "0.6", "minOut": "0.0000001"}, {"slippage", "minOut"}),
    ({"expiresAt": "2020-01-01T00:00:00Z"}, {"expiresAt"}),
    ({"amount": "1"}, {"amount"}),
]


def test_a_wrong_change_names_each_field_and_changes_nothing(web: Web) -> None:
    order_id = web.execute(type="stop", stopPrice="100")
    before = web.cloud.stored(order_id)
    for body, wrong in WRONG_CHANGES:
        assert set(problem(web, "PATCH", f"/orders/{order_id}", body, 400)) == wrong, body
    assert web.cloud.stored(order_id) == before


def test_a_change_is_held_to_the_market_and_to_its_other_price_as_a_new_order_is(web: Web) -> None:
    path = f"/orders/{web.execute(type='oco', limitPrice='200', stopPrice='100')}"
    assert set(problem(web, "PATCH", path, {"stopPrice": "199"}, 422)) == {"stopPrice"}
    assert set(problem(web, "PATCH", path, {"stopPrice": "200"}, 400)) == {"limitPrice", "stopPrice"}
    assert web.json("PATCH", path, {"stopPrice": "199", "force": True})["stopPrice"] == "199"


def test_anothers_order_is_not_there_to_be_changed(web: Web) -> None:
    other = web.cloud.new_key("other", Scope.TRADE)
    path = f"/orders/{web.execute(type='stop', stopPrice='100')}"
    for body in ({"stopPrice": "90"}, {"nonsense": 1}):
        assert web("PATCH", path, body, {"x-api-key": other.secret}).status_code == 404


def test_what_was_triggered_can_be_cancelled_and_not_changed(web: Web) -> None:
    order_id = web.execute(type="stop", stopPrice="100")
    order = web.cloud.stored(order_id)
    composition.order_store().replace(latched(order, 40_000_000, 7, composition.now_ms()))
    problem(web, "PATCH", f"/orders/{order_id}", {"stopPrice": "90"}, 409)
    assert show(web, order_id)["trigger"]["price"] == "80"
    assert web.json("DELETE", f"/orders/{order_id}")["status"] == "cancelled"
    problem(web, "DELETE", f"/orders/{order_id}", None, 409)
    problem(web, "PATCH", f"/orders/{order_id}", {"stopPrice": "90"}, 409)


def test_the_same_request_again_finds_the_order_whatever_was_changed_since(web: Web) -> None:
    body, key = {**ORDER, "type": "limit", "limitPrice": "200.0"}, {"Idempotency-Key": "limit-7"}
    order_id = web.json("POST", EXECUTE, body, **key)["orderId"]
    web.json("PATCH", f"/orders/{order_id}", {"limitPrice": "190"})
    again = web("POST", EXECUTE, {**body, "limitPrice": "200"}, key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert (again.json_body["orderId"], again.json_body["limitPrice"]) == (order_id, "190")
    assert web("POST", EXECUTE, {**body, "limitPrice": "190"}, key).status_code == 409
    assert web("POST", EXECUTE, {**body, "type": "oco", "stopPrice": "100"}, key).status_code == 409


# --- carried out --------------------------------------------------------------------------------------------------


def test_a_limit_that_is_reached_is_filled_at_its_price_or_better(web: Web) -> None:
    order_id = web.execute(type="limit", limitPrice="10")
    set_off(web, order_id)
    web.work()
    shown = show(web, order_id)
    assert [step["status"] for step in shown["history"]] == [
        *("open", "pending", "routing", "building", "submitted", "confirmed")
    ]
    assert shown["history"][2]["trigger"]["kind"] == "limit"
    assert Decimal(shown["amountOut"]) >= Decimal(shown["minOut"]) == 5


def test_a_stop_that_is_reached_sells_with_its_slippage_of_the_quote_that_set_it_off(web: Web) -> None:
    order_id = web.execute(type="stop", stopPrice="1000", force=True)
    paid = market_out(web)
    set_off(web, order_id)
    web.work()
    shown = show(web, order_id)
    floor = -(-int(paid * 10**6) * 990_000 // 1_000_000)
    assert shown["status"] == "confirmed"
    assert Decimal(shown["minOut"]) * 10**6 == floor


def test_a_limit_whose_market_moved_before_anything_was_signed_is_open_again_and_has_used_no_try(web: Web) -> None:
    order_id = web.execute(type="limit", limitPrice="1000")
    set_off(web, order_id, Decimal(500))
    web.work()
    shown = show(web, order_id)
    assert (shown["status"], shown["errorCode"], shown["retryCount"]) == ("open", "SLIPPAGE_EXCEEDED", 0)
    assert [step["status"] for step in shown["history"]] == ["open", "pending", "routing", "open"]
    assert "trigger" not in shown
    assert web.cloud.stored(order_id).signed_tries == 0
    assert not web.cloud.receive(), "whoever watches its price hands it over again"


def test_a_halt_puts_a_triggered_stop_back_and_it_stays_triggered(web: Web) -> None:
    order_id = web.execute(type="stop", stopPrice="1000", force=True)
    set_off(web, order_id)
    web.cloud.control_table().halt("global", "exercise", composition.now_ms())
    web.work()
    shown = show(web, order_id)
    assert (shown["status"], shown["errorCode"], shown["trigger"]["kind"]) == ("open", "HALTED", "stop")
    web.cloud.control_table().resume("global")
    set_off(web, order_id)
    web.work()
    assert show(web, order_id)["status"] == "confirmed"
