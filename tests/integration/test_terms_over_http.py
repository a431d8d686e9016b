"""What a client agrees to with an order, over HTTP: its floor, its deadline, its own id, the same request again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import Any

import pytest

from chalicelib import composition
from chalicelib.access.keys import Scope
from chalicelib.times import parse_time, time_text
from tests.integration.cloud import Cloud, Json
from tests.integration.web import ORDER, Web, without_ticket
from tests.sample_orders import SOL, USDC

EXECUTE = "/orders/execute"
NO_NODE = "http://127.0.0.1:1"
DAY_MS = 86_400_000


def now_ms() -> int:
    return composition.now_ms()


def from_now(ms: int) -> str:
    return time_text(now_ms() + ms)


def show(web: Web, order_id: str) -> Json:
    return without_ticket(web.json("GET", f"/orders/{order_id}"))


def stored_items(cloud: Cloud) -> int:
    return len(cloud.dynamodb.scan(TableName=cloud.orders_table)["Items"])


def starts(order_id: str) -> None:
    """A worker comes to the order, and it takes a slot."""
    order = composition.order_store().load(order_id)
    assert order is not None
    assert composition.starts().take(order) is None


# --- the body -----------------------------------------------------------------------------------------------------


def test_an_orders_terms_are_shown_as_they_were_named(web: Web) -> None:
    terms = {
        "minOut": "70.5",
        "expiresAt": from_now(DAY_MS),
        "clientOrderId": "desk/7",
        "maxPriceImpact": "0.02",
        "maxNetworkFee": "0.001",
    }
    shown = show(web, web.execute(**terms))
    assert {name: shown[name] for name in terms} == terms
    assert (shown["mintIn"], shown["mintOut"]) == (SOL.mint, USDC.mint)
    assert shown["history"][0]["minOut"] == "70.5"


def test_which_key_placed_an_order_is_kept_and_not_shown(web: Web) -> None:
    new = web.cloud.new_key("local", Scope.READ, Scope.TRADE)
    order_id = web.json("POST", EXECUTE, ORDER, **{"x-api-key": new.secret})["orderId"]
    assert web.cloud.stored(order_id).key_id == new.key.key_id
    assert new.key.key_id not in str(show(web, order_id))
    assert web.cloud.stored(web.execute()).key_id is None


def test_an_order_is_the_wallets_that_it_was_placed_with_and_shows_it(
    web: Web, environment: Callable[..., None]
) -> None:
    own, another = str(composition.wallet().address), USDC.mint
    environment(WALLET_ADDRESS=own)
    ours = web.execute()
    environment(WALLET_ADDRESS=another)
    theirs = web.execute()
    web.work()
    shown = show(web, ours)
    assert (shown["wallet"], shown["status"]) == (own, "confirmed")
    shown = show(web, theirs)
    assert (shown["wallet"], shown["errorCode"]) == (another, "WALLET_UNAVAILABLE")
    assert f"for the wallet {another}, and this stage signs for {own}" in shown["error"]


def test_a_transaction_is_looked_up_where_the_cluster_has_an_explorer(
    web: Web, environment: Callable[..., None]
) -> None:
    order_id = web.execute()
    web.work()
    assert "explorerUrl" not in show(web, order_id)
    environment(EXPLORER_URL="https://explorer.example/tx/{txHash}?cluster=devnet")
    shown = show(web, order_id)
    assert shown["explorerUrl"] == f"https://explorer.example/tx/{shown['txHash']}?cluster=devnet"
    (listed,) = web.json("GET", "/orders")["orders"]
    assert listed == shown
    assert "explorerUrl" not in show(web, web.execute()), "nothing of it is on the chain"


def test_an_order_that_names_no_deadline_is_good_for_five_minutes_from_its_start(web: Web) -> None:
    shown = show(web, web.execute())
    assert parse_time(shown["expiresAt"]) - parse_time(shown["createdAt"]) == 300_000


def test_an_order_that_must_wait_has_its_five_minutes_from_the_slot_that_it_was_told(
    web: Web, environment: Callable[..., None]
) -> None:
    environment(ORDERS_PER_MINUTE="2", STARTS_AT_ONCE="1", MARKET_ORDER_SECONDS="60")
    starts(web.execute())
    shown = show(web, web.execute())
    assert parse_time(shown["expiresAt"]) - parse_time(shown["history"][0]["queuedUntil"]) == 60_000


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"minOut": "0"}, "minOut"),
        ({"minOut": "-1"}, "minOut"),
        ({"minOut": "1.0000001"}, "minOut"),
        ({"minOut": None}, "minOut"),
        ({"minOut": "1e400"}, "minOut"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"expiresAt": "2030-01-01T00:00:00"}, "expiresAt"),
        ({"expiresAt": "tomorrow"}, "expiresAt"),
        ({"expiresAt": 1_900_000_000}, "expiresAt"),
        ({"expiresAt": None}, "expiresAt"),
        ({"clientOrderId": ""}, "clientOrderId"),
        ({"clientOrderId": "x" * 65}, "clientOrderId"),
        ({"clientOrderId": "a b"}, "clientOrderId"),
        ({"clientOrderId": "a\n"}, "clientOrderId"),
        ({"clientOrderId": "é"}, "clientOrderId"),
        ({"clientOrderId": 7}, "clientOrderId"),
        ({"maxPriceImpact": "1.1"}, "maxPriceImpact"),
        ({"maxPriceImpact": "-0.1"}, "maxPriceImpact"),
        ({"maxNetworkFee": "0"}, "maxNetworkFee"),
        ({"maxNetworkFee": "0.0000000001"}, "maxNetworkFee"),
        ({"dryRun": "yes"}, "dryRun"),
    ],
)
def test_a_wrong_term_is_400_names_its_field_and_leaves_nothing(web: Web, change: Json, wrong: str) -> None:
    answer = web("POST", EXECUTE, {**ORDER, **change})
    assert (answer.status_code, [one["field"] for one in answer.json_body["errors"]]) == (400, [wrong])
    assert stored_items(web.cloud) == 0


def test_a_deadline_may_be_thirty_days_ahead_and_no_more(web: Web) -> None:
    assert web("POST", EXECUTE, {**ORDER, "expiresAt": from_now(30 * DAY_MS)}).status_code == 202
    assert web("POST", EXECUTE, {**ORDER, "expiresAt": from_now(30 * DAY_MS + 60_000)}).status_code == 400


@pytest.mark.parametrize("least", ["1000000000", "99999999999999999999"])
def test_more_than_any_pool_can_pay_is_accepted_and_never_filled(web: Web, least: str) -> None:
    order_id = web.execute(minOut=least)
    web.work()
    shown = show(web, order_id)
    assert (shown["minOut"], shown["errorCode"]) == (least, "SLIPPAGE_EXCEEDED")
    assert "amountOut" not in shown


def test_a_filled_order_shows_its_floor_its_first_quote_and_what_each_pool_offered(web: Web) -> None:
    order_id = web.execute()
    web.work()
    shown = show(web, order_id)
    assert shown["status"] == "confirmed"
    quotes = web.json("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=0.5")["quotes"]
    assert {one["pool"] for one in shown["quotes"]} == {one["pool"] for one in quotes}
    assert {frozenset(one) for one in shown["quotes"]} == {frozenset(one) for one in quotes}
    assert all("quotes" not in step for step in shown["history"])


def test_an_order_past_its_deadline_ends_expired_while_no_node_answers(
    web: Web, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = web.execute(expiresAt=from_now(60_000))
    environment(SOLANA_RPC_URL=NO_NODE)
    later = now_ms() + 61_000
    monkeypatch.setattr(composition, "now_ms", lambda: later)
    web.work()
    shown = show(web, order_id)
    assert (shown["status"], shown["errorCode"]) == ("expired", "EXPIRED")
    assert [one["orderId"] for one in web.json("GET", "/orders?status=expired")["orders"]] == [order_id]


# --- clientOrderId ------------------------------------------------------------------------------------------------


def test_a_second_use_of_a_client_order_id_is_409_with_the_first_order(web: Web) -> None:
    first = web.execute(clientOrderId="desk/7")
    before = stored_items(web.cloud)
    answer = web("POST", EXECUTE, {**ORDER, "clientOrderId": "desk/7"})
    assert (answer.status_code, answer.json_body["orderId"]) == (409, first)
    assert stored_items(web.cloud) == before


def test_a_client_order_id_finds_its_order_at_once_whatever_became_of_it(web: Web) -> None:
    order_id = web.execute(clientOrderId="desk/7")
    web.json("DELETE", f"/orders/{order_id}")
    found = web.json("GET", "/orders?clientOrderId=desk/7")
    assert [(one["orderId"], one["status"]) for one in found["orders"]] == [(order_id, "cancelled")]
    assert web.json("GET", "/orders?clientOrderId=desk/7&status=pending")["orders"] == []
    assert web.json("GET", "/orders?clientOrderId=desk/8") == {"orders": [], "nextCursor": None}
    assert web("POST", EXECUTE, {**ORDER, "clientOrderId": "desk/7"}).status_code == 409, "it is never freed"


def test_a_refused_order_uses_up_no_client_order_id(web: Web) -> None:
    assert web("POST", EXECUTE, {**ORDER, "clientOrderId": "desk/7", "amount": "0"}).status_code == 400
    assert web("POST", EXECUTE, {**ORDER, "clientOrderId": "desk/7"}).status_code == 202


def test_of_many_at_once_with_one_client_order_id_one_is_taken_and_the_others_name_it(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, limits = composition.order_store(), composition.control_table().limits_for("local")
    client, one_at_a_time = composition.dynamodb(), Lock()
    ask = client._make_api_call  # type: ignore[attr-defined]

    def asked(*arguments: Any) -> Any:
        with one_at_a_time:  # as DynamoDB carries them out; moto's tables can't be asked by two at once
            return ask(*arguments)

    monkeypatch.setattr(client, "_make_api_call", asked)
    placed = composition.order_store().load(web.execute())
    assert placed is not None

    def create(number: int) -> str:
        try:
            store.create(replace(placed, order_id=f"order-{number}", client_order_id="desk/7"), limits)
        except Exception as refused:  # noqa: BLE001 - told below
            return f"{type(refused).__name__} {getattr(refused, 'order_id', '')}"
        return f"taken order-{number}"

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(create, range(8)))
    (taken,) = [outcome.split()[1] for outcome in outcomes if outcome.startswith("taken")]
    assert outcomes.count(f"ClientOrderIdInUse {taken}") == 7


# --- the same request again ---------------------------------------------------------------------------------------


def again(web: Web, key: str, **changes: object) -> Any:
    return web("POST", EXECUTE, {**ORDER, **changes}, {"Idempotency-Key": key})


def test_the_same_request_again_is_200_with_the_order_as_it_is_now(web: Web) -> None:
    first = again(web, "key", clientOrderId="desk/7")
    web.work()
    repeated = again(web, "key", clientOrderId="desk/7")
    assert (first.status_code, repeated.status_code) == (202, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert repeated.headers["Idempotent-Replayed"] == "true"
    assert without_ticket(repeated.json_body) == show(web, first.json_body["orderId"])
    assert repeated.json_body["status"] == "confirmed"
    assert {"orderId", "status", "wsPath", "wsUrl", "createdAt"} <= repeated.json_body.keys()


def test_it_is_so_while_no_node_answers_and_when_the_tokens_are_traded_no_more(
    web: Web, environment: Callable[..., None]
) -> None:
    first = again(web, "key")
    for item in web.cloud.dynamodb.scan(TableName=web.cloud.outputs["PoolsTable"])["Items"]:
        web.cloud.dynamodb.delete_item(TableName=web.cloud.outputs["PoolsTable"], Key={"address": item["address"]})
    environment(SOLANA_RPC_URL=NO_NODE)
    repeated = again(web, "key")
    assert (repeated.status_code, repeated.json_body["orderId"]) == (200, first.json_body["orderId"])
    assert again(web, "key", amount="0.6").status_code == 409


def test_another_body_with_the_key_is_409_even_one_that_is_no_order(web: Web) -> None:
    again(web, "key")
    for other in ({"amount": "0.6"}, {"minOut": "1"}, {"tokenOut": "NOTHING"}, {"amount": "none"}):
        assert again(web, "key", **other).status_code == 409


# --- dryRun -------------------------------------------------------------------------------------------------------


def dry(web: Web, key: str | None = None, **changes: object) -> Json:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = web("POST", EXECUTE, {**ORDER, "dryRun": True, **changes}, headers)
    assert answer.status_code == 200, answer.json_body
    return dict(answer.json_body)


@pytest.fixture
def with_address(web: Web, environment: Callable[..., None]) -> Web:
    address = str(composition.wallet().address)
    environment(WALLET_ADDRESS=address)
    return web


def test_a_dry_run_tells_what_would_become_of_the_order_and_stores_nothing(with_address: Web) -> None:
    web = with_address
    outcome = dry(web, clientOrderId="desk/7", key="key")
    assert (outcome["wouldAccept"], outcome["refusals"], outcome["immediate"]) == (True, [], True)
    assert outcome["minOut"] == outcome["quote"]["minOut"]
    assert outcome["simulation"]["ok"] is True
    assert outcome["simulation"]["unitsConsumed"] > 0
    assert 0.000005 < float(outcome["networkFee"]) < 0.001
    assert stored_items(web.cloud) == 0
    assert again(web, "key", amount="0.7", clientOrderId="desk/7").status_code == 202, "neither was used up"


def test_a_dry_run_takes_no_slot_and_tells_whether_the_order_would_wait(
    web: Web, environment: Callable[..., None]
) -> None:
    environment(ORDERS_PER_MINUTE="2", STARTS_AT_ONCE="1")
    assert [dry(web)["immediate"] for _ in range(3)] == [True] * 3
    starts(web.execute())
    assert dry(web)["immediate"] is False


def test_a_dry_run_names_what_would_be_refused(web: Web) -> None:
    first = web.execute(clientOrderId="desk/7")
    outcome = dry(web, clientOrderId="desk/7")
    assert outcome["wouldAccept"] is False
    (refusal,) = outcome["refusals"]
    assert (refusal["status"], refusal["errorCode"]) == (409, "CLIENT_ORDER_ID_TAKEN")
    assert first in refusal["detail"]


def test_a_dry_run_of_an_order_that_would_not_fill_says_so(web: Web) -> None:
    outcome = dry(web, minOut="1000000")
    assert (outcome["wouldAccept"], outcome["minOut"], outcome["simulation"]["ok"]) == (True, "1000000", False)
    assert any("less than the 1000000" in warning for warning in outcome["warnings"])


def test_a_dry_run_without_a_wallets_address_or_a_node_simulates_nothing(
    web: Web, environment: Callable[..., None]
) -> None:
    assert dry(web)["simulation"]["ok"] is False
    environment(SOLANA_RPC_URL=NO_NODE)
    outcome = dry(web)
    assert (outcome["wouldAccept"], outcome["simulation"]["ok"], outcome["quote"]) == (False, False, None)
    assert [(one["status"], one["errorCode"]) for one in outcome["refusals"]] == [(503, "RPC_UNAVAILABLE")]


def test_a_dry_run_of_what_is_no_order_is_400(web: Web) -> None:
    assert web("POST", EXECUTE, {**ORDER, "dryRun": True, "amount": "0"}).status_code == 400
