"""The HTTP routes and the function handlers of app.py, on AWS in memory and a localnet of their own.

Chalice's own test client plays API Gateway. Nothing is put in place of the product's parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from chalicelib import composition
from chalicelib.aws.dynamodb.order_item import OPEN_SHARDS
from chalicelib.http.health import HOLDS_MS
from chalicelib.orders.late import LATE_MS
from chalicelib.risk.counters import GLOBAL
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as METEORA_DLMM
from chalicelib.venues.supported import VENUES
from operations.pools import PoolAdministration, unfit_pools
from testing.localnet import Localnet
from tests.integration.cloud import Cloud, Json, OrdersStream, aws, calls_to
from tests.integration.web import ORDER, Pushes, Web, fields, problem, socket, without_ticket
from tests.sample_orders import confirmed, new_order

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


# --- POST /orders/execute -----------------------------------------------------------------------------------------


def test_an_order_is_taken_with_202_and_where_to_watch_it(web: Web) -> None:
    response = web("POST", "/orders/execute", ORDER)
    taken = dict(response.json_body)
    assert response.status_code == 202
    assert set(taken) == {"orderId", "status", "wsPath", "wsUrl", "createdAt"}
    assert re.fullmatch(UUID, taken["orderId"])
    assert re.fullmatch(TIME, taken["createdAt"])
    assert taken["status"] == "pending"
    url = urlsplit(taken["wsUrl"])
    assert (url.scheme, url.netloc, url.path) == ("ws", "gateway.example", "/api")
    query = parse_qs(url.query)
    assert query["orderId"] == [taken["orderId"]]
    assert query.keys() == {"orderId", "ticket"}
    assert taken["wsPath"] == f"{url.path}?{url.query}"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"],
)
def test_a_body_is_json_whatever_a_simple_client_calls_it(web: Web, content_type: str) -> None:
    assert web("POST", "/orders/execute", ORDER, {"Content-Type": content_type}).status_code == 202


def test_a_json_number_is_taken_to_the_last_digit(web: Web) -> None:
    body = json.dumps({**ORDER, "amount": "?"}).replace('"?"', "9007199.254740993").encode()
    order_id = dict(web("POST", "/orders/execute", body).json_body)["orderId"]
    assert web.json("GET", f"/orders/{order_id}")["amount"] == "9007199.254740993"


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY"])
def test_the_same_key_and_body_is_200_with_the_same_order_and_another_body_409(web: Web, name: str) -> None:
    first = web("POST", "/orders/execute", ORDER, {name: "key-1"})
    again = web("POST", "/orders/execute", {**ORDER, "amount": 0.50}, {name: "key-1"})
    assert (first.status_code, again.status_code) == (202, 200)
    assert without_ticket(first.json_body).items() <= without_ticket(again.json_body).items()
    other = problem(web("POST", "/orders/execute", {**ORDER, "amount": "0.6"}, {name: "key-1"}), 409)
    assert other["type"] == "urn:fillrate:problem:conflict"


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"type": "twig"}, ["type"]),
        ({"type": None}, ["type"]),
        ({"tokenIn": "DOGE"}, ["tokenIn"]),
        ({"tokenOut": "x" * 1_000}, ["tokenOut"]),
        ({"tokenOut": "SOL"}, ["tokenOut"]),
        ({"tokenOut": 5}, ["tokenOut"]),
        ({"tokenIn": ["SOL"]}, ["tokenIn"]),
        ({"amount": "0"}, ["amount"]),
        ({"amount": -1}, ["amount"]),
        ({"amount": "1e400"}, ["amount"]),
        ({"amount": "1e999999999"}, ["amount"]),
        ({"amount": "1e-30"}, ["amount"]),
        ({"amount": "0.0000000001"}, ["amount"]),
        ({"amount": "NaN"}, ["amount"]),
        ({"amount": True}, ["amount"]),
        ({"amount": None}, ["amount"]),
        ({"amount": {}}, ["amount"]),
        ({"amount": "１"}, ["amount"]),
        ({"slippage": "0.51"}, ["slippage"]),
        ({"slippage": "1%"}, ["slippage"]),
        ({"side": "buy"}, ["side"]),
        ({"type": "twig", "amount": "x", "side": "buy"}, ["amount", "type", "side"]),
        ({"\ud800": 1}, None),
        (
            {
                "type": "twig",
                "tokenIn": "DOGE",
                "amount": "x",
                "slippage": "0.51",
                "minOut": "0.0000001",
                "expiresAt": "2020-01-01T00:00:00Z",
                "maxPriceImpact": "2",
                "maxNetworkFee": "0.0000000001",
                "clientOrderId": "a b",
                "side": "buy",
            },
            [
                *("amount", "type", "clientOrderId", "side", "expiresAt", "slippage", "maxPriceImpact"),
                *("maxNetworkFee", "tokenIn", "minOut"),
            ],
        ),
        ({"tokenOut": "SOL", "amount": "0.0000000001"}, ["tokenOut", "amount"]),
        ({"tokenIn": "DOGE", "tokenOut": "PEPE", "slippage": "-1"}, ["slippage", "tokenIn", "tokenOut"]),
    ],
)
def test_a_wrong_order_is_400_and_names_each_wrong_field(web: Web, change: Json, wrong: list[str] | None) -> None:
    named = fields(web("POST", "/orders/execute", {**ORDER, **change}))
    assert len(named) == 1 if wrong is None else named == wrong
    assert web.cloud.receive() == []


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b'"x"', b"\xff\xfe", b"[" * 8_000, b'{"amount": NaN}', b"{}" + b" " * 20_000],
)
def test_a_body_that_is_no_json_object_is_400(web: Web, body: bytes) -> None:
    assert fields(web("POST", "/orders/execute", body)) == ["body"]


@pytest.mark.parametrize("key", [" ", "a b", "x" * 129, "clé"])
def test_a_wrong_idempotency_key_is_named_by_its_header(web: Web, key: str) -> None:
    assert fields(web("POST", "/orders/execute", ORDER, {"Idempotency-Key": key})) == ["Idempotency-Key"]


def test_a_wrong_header_is_named_with_what_is_wrong_in_the_body(web: Web) -> None:
    wrong = {**ORDER, "amount": "0", "side": "buy"}
    named = ["Idempotency-Key", "side", "amount"]
    assert fields(web("POST", "/orders/execute", wrong, {"Idempotency-Key": "a b"})) == named


def test_a_dry_run_names_each_wrong_field_too(web: Web) -> None:
    wrong = {**ORDER, "dryRun": True, "tokenOut": "DOGE", "amount": "0", "side": "buy"}
    assert fields(web("POST", "/orders/execute", wrong)) == ["side", "tokenOut", "amount"]


def test_what_is_wrong_by_itself_is_named_while_no_node_tells_the_tokens(
    web: Web, environment: Callable[..., None]
) -> None:
    environment(SOLANA_RPC_URL="http://127.0.0.1:1")
    for change, wrong in (({"amount": "x"}, ["amount"]), ({"slippage": "0.6"}, ["slippage"])):
        assert fields(web("POST", "/orders/execute", {**ORDER, **change})) == wrong
    assert web("POST", "/orders/execute", {**ORDER, "amount": "0"}).status_code == 503


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*ORDER, "x"]), JUNK).map(lambda body: json.dumps(body).encode()) | st.binary())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_whatever_is_our_failure(web: Web, body: bytes) -> None:
    problem(web("POST", "/orders/execute", body), 400)


# --- GET and DELETE /orders/{orderId} -----------------------------------------------------------------------------


def test_an_order_is_shown_with_its_history_and_where_to_watch_it(web: Web) -> None:
    order_id = web.execute()
    order = web.json("GET", f"/orders/{order_id}")
    shown = {name: order[name] for name in (*ORDER, "orderId", "status", "retryCount")}
    assert shown == {**ORDER, "orderId": order_id, "status": "pending", "retryCount": 0}
    assert order["history"][0] == {"seq": 1, "status": "pending", "at": order["createdAt"], "retryCount": 0}
    assert order["wsUrl"].startswith("ws://gateway.example/api?")


ODD_IDS = [
    "unknown",
    "0",
    "..",
    "health",
    "a" * 5_000,
    "%00",
    "%ff",
    "%F0%9F%92%A9",
    "a%20b",
    "%2e%2e%2f",
    "%",
    "'",
    "ø",
]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("order_id", ODD_IDS)
def test_an_id_that_no_order_has_is_404(web: Web, method: str, order_id: str) -> None:
    problem(web(method, f"/orders/{order_id}"), 404)


def test_an_order_is_cancelled_once(web: Web) -> None:
    order_id = web.execute()
    cancelled = web.json("DELETE", f"/orders/{order_id}")
    assert (cancelled["status"], len(cancelled["history"])) == ("cancelled", 2)
    problem(web("DELETE", f"/orders/{order_id}"), 409)
    assert web.work() == {"batchItemFailures": []}
    assert web.json("GET", f"/orders/{order_id}")["status"] == "cancelled"


def test_an_order_that_has_ended_is_not_cancelled(web: Web) -> None:
    web.cloud.store().create(confirmed())
    assert "confirmed" in problem(web("DELETE", "/orders/order-1"), 409)["detail"]


def test_another_accounts_order_looks_like_none(web: Web) -> None:
    web.cloud.store().create(new_order("theirs", account="operator"))
    for method in ("GET", "DELETE"):
        seen = problem(web(method, "/orders/theirs"), 404)
        none = problem(web(method, "/orders/nobody"), 404)
        assert {**seen, "detail": ""} == {**none, "detail": ""}


# --- GET /orders --------------------------------------------------------------------------------------------------


def test_orders_are_listed_newest_first_page_by_page(web: Web) -> None:
    for number in range(3):
        web.cloud.store().create(new_order(f"order-{number}", created_at_ms=1_760_000_000_000 + number))
    assert [one["orderId"] for one in web.json("GET", "/orders")["orders"]] == ["order-2", "order-1", "order-0"]
    page = web.json("GET", "/orders?limit=2")
    assert [one["orderId"] for one in page["orders"]] == ["order-2", "order-1"]
    rest = web.json("GET", f"/orders?{urlencode({'limit': 2, 'cursor': page['nextCursor']})}")
    assert [one["orderId"] for one in rest["orders"]] == ["order-0"]
    assert rest["nextCursor"] is None


def test_a_listing_keeps_a_status_and_tokens_by_symbol_or_mint(web: Web) -> None:
    web.cloud.store().create(new_order("waits"))
    web.cloud.store().create(confirmed(new_order("done")))

    def listed(**query: str) -> list[str]:
        return [one["orderId"] for one in web.json("GET", f"/orders?{urlencode(query)}")["orders"]]

    mint = web.cloud.stored("done").token_out.mint
    assert listed(status="confirmed") == ["done"]
    assert set(listed(tokenIn="sol", tokenOut=mint)) == {"waits", "done"}
    assert listed(tokenIn="USDC") == []


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("limit=0", ["limit"]),
        ("limit=201", ["limit"]),
        ("limit=x", ["limit"]),
        ("limit=", ["limit"]),
        ("status=done", ["status"]),
        ("status=", ["status"]),
        ("tokenIn=DOGE", ["tokenIn"]),
        ("tokenOut=", ["tokenOut"]),
        ("cursor=nonsense", ["cursor"]),
        ("cursor=WzEsIlx1ZDgwMCJd", ["cursor"]),
        ("cursor=" + "A" * 2_000, ["cursor"]),
        ("order=asc", ["order"]),
        ("limit=0&status=x&page=2", ["status", "limit", "page"]),
    ],
)
def test_a_wrong_query_is_400_and_names_each_wrong_field(web: Web, query: str, wrong: list[str]) -> None:
    assert fields(web("GET", f"/orders?{query}")) == wrong


# --- GET /quotes, /tokens, /health --------------------------------------------------------------------------------


def test_a_quote_tells_every_venues_offer_and_the_best_route(web: Web) -> None:
    told = web.json("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=1.5&slippage=0.005")
    assert (told["tokenIn"], told["tokenOut"], told["amount"], told["slippage"]) == ("SOL", "USDC", "1.5", "0.005")
    assert {one["dex"] for one in told["quotes"]} == {"raydium", "meteora"}
    single = [Decimal(one["amountOut"]) for one in told["quotes"] if "amountOut" in one]
    assert Decimal(told["amountOut"]) >= max(single)
    assert Decimal(told["minOut"]) <= Decimal(told["amountOut"])
    assert 0 <= Decimal(told["priceImpact"]) < 1
    assert sum(Decimal(leg["share"]) for leg in told["route"] if leg["tokenOut"] == "USDC") == 1


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("", ["tokenIn", "tokenOut", "amount"]),
        ("tokenIn=SOL&tokenOut=USDC&amount=0", ["amount"]),
        ("tokenIn=SOL&tokenOut=USDC&amount=x", ["amount"]),
        ("tokenIn=SOL&tokenOut=USDC&amount=1&slippage=2", ["slippage"]),
        ("tokenIn=SOL&tokenOut=SOL&amount=1", ["tokenOut"]),
        ("tokenIn=SOL&tokenOut=DOGE&amount=1", ["tokenOut"]),
        ("tokenIn=SOL&tokenOut=USDC&amount=1&side=buy", ["side"]),
    ],
)
def test_a_wrong_quote_is_400_and_names_each_wrong_field(web: Web, query: str, wrong: list[str]) -> None:
    assert fields(web("GET", f"/quotes?{query}")) == wrong


def test_more_than_any_pool_can_take_is_divided_among_those_that_can_take_a_part(web: Web) -> None:
    quote = web.json("GET", "/quotes?tokenIn=USDC&tokenOut=SOL&amount=18446744073709.551615")
    assert {offer["errorCode"] for offer in quote["quotes"]} == {"INSUFFICIENT_LIQUIDITY"}
    assert len(quote["route"]) > 1
    assert sum(Decimal(leg["amountIn"]) for leg in quote["route"]) == Decimal("18446744073709.551615")


def test_a_quote_for_more_than_the_pools_hold_is_the_clients_to_mend(web: Web, cloud: Cloud) -> None:
    registered = cloud.dynamodb.scan(TableName=cloud.outputs["PoolsTable"])["Items"]
    for pool in registered:
        if pool["program"]["S"] != str(METEORA_DLMM):
            cloud.dynamodb.delete_item(TableName=cloud.outputs["PoolsTable"], Key={"address": pool["address"]})
    refused = problem(web("GET", "/quotes?tokenIn=USDC&tokenOut=SOL&amount=18446744073709.551615"), 422)
    assert refused["title"] == "Insufficient liquidity"


@given(st.dictionaries(st.sampled_from(["tokenIn", "tokenOut", "amount", "slippage", "x"]), st.text(max_size=12)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_whatever_is_our_failure(web: Web, query: dict[str, str]) -> None:
    for path in ("/quotes", "/orders"):
        assert web("GET", f"{path}?{urlencode(query, errors='surrogatepass')}").status_code in (200, 400, 422)


def test_every_token_that_is_listed_can_be_quoted_by_symbol_and_by_mint(web: Web) -> None:
    tokens = web.json("GET", "/tokens")["tokens"]
    assert {"symbol", "mint", "decimals"} <= tokens[0].keys()
    assert {"SOL", "USDC", "USDT", "JUP", "RAY", "BONK"} <= {token["symbol"] for token in tokens}
    for token in tokens:
        if token["symbol"] != "USDC":
            for name in (token["symbol"], token["mint"]):
                query = urlencode({"tokenIn": name, "tokenOut": "USDC", "amount": "1"})
                assert web("GET", f"/quotes?{query}").status_code == 200


def test_health_tells_of_each_part_that_an_order_needs(web: Web) -> None:
    health = web.json("GET", "/health")
    assert (health["status"], health["stage"]) == ("ok", "local")
    assert {name for name, one in health["checks"].items() if one["ok"]} >= {"solana", "orders", "queue"}


# --- wrong ways in ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/orders/execute"),
        ("POST", "/orders"),
        ("PUT", "/orders/x"),
        ("POST", "/quotes"),
        ("DELETE", "/tokens"),
    ],
)
def test_a_wrong_method_is_405_and_tells_the_right_ones(web: Web, method: str, path: str) -> None:
    response = web(method, path)
    problem(response, 405)
    assert response.headers["Allow"]


@pytest.mark.parametrize("content_type", ["application/xml", "multipart/form-data; boundary=x", "image/png"])
def test_a_body_that_is_surely_no_json_is_415(web: Web, content_type: str) -> None:
    problem(web("POST", "/orders/execute", ORDER, {"Content-Type": content_type}), 415)


ROUTES = [
    ("POST", "/orders/execute"),
    ("GET", "/orders"),
    ("GET", "/orders/x"),
    ("DELETE", "/orders/x"),
    ("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=1"),
    ("GET", "/tokens"),
    ("POST", "/ws-tickets"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}])
def test_no_stage_but_local_serves_anybody_without_a_key(
    web: Web, environment: Callable[..., None], method: str, path: str, headers: dict[str, str]
) -> None:
    environment(STAGE="prod")
    body = ORDER if path == "/orders/execute" else None
    problem(web(method, path, body, headers), 401)
    key = web.cloud.new_key("somebody").secret
    assert web(method, path, body, {"X-Api-Key": key}).status_code in (200, 202, 404)


def test_health_needs_no_key(web: Web, environment: Callable[..., None]) -> None:
    environment(STAGE="prod")
    assert web("GET", "/health").status_code == 200


# --- when something is out of reach -------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [ROUTES[0], ROUTES[4], ROUTES[5]])
def test_without_a_solana_node_the_answer_is_503_and_nothing_is_taken(
    web: Web, environment: Callable[..., None], method: str, path: str
) -> None:
    environment(SOLANA_RPC_URL="http://127.0.0.1:9/a-secret-provider-key")
    refused = web(method, path, ORDER if method == "POST" else None)
    assert problem(refused, 503)["type"] == "urn:fillrate:problem:rpc-unavailable"
    assert "secret" not in str(refused.body)
    assert web.cloud.receive() == []


def test_the_nodes_are_found_in_a_secret_where_the_environment_does_not_name_them(
    web: Web, environment: Callable[..., None], localnet: Localnet
) -> None:
    secret = aws().client("secretsmanager").create_secret(Name="nodes", SecretString=localnet.url)["ARN"]
    environment(SOLANA_RPC_URL="", SOLANA_RPC_SECRET_ARN=secret)
    assert web("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=1").status_code == 200
    environment(SOLANA_RPC_URL="", SOLANA_RPC_SECRET_ARN=f"{secret}-nowhere")
    assert problem(web("GET", "/tokens"), 500)["detail"] == "The request failed on our side; it may be sent again."


def test_orders_can_be_read_and_cancelled_without_a_solana_node(web: Web, environment: Callable[..., None]) -> None:
    order_id = web.execute()
    environment(SOLANA_RPC_URL="http://127.0.0.1:9")
    assert web("GET", "/orders").status_code == 200
    assert web("GET", f"/orders/{order_id}").status_code == 200
    assert web("DELETE", f"/orders/{order_id}").status_code == 200


def test_health_is_503_and_says_which_part_is_out_of_reach(web: Web, environment: Callable[..., None]) -> None:
    environment(SOLANA_RPC_URL="http://127.0.0.1:9/a-secret-provider-key")
    response = web("GET", "/health")
    body = dict(response.json_body)
    assert (response.status_code, body["status"]) == (503, "unavailable")
    assert [name for name, one in body["checks"].items() if not one["ok"]] == ["solana", "pools"]
    assert body["degraded"][0] == "no node: no Solana node answers"
    assert "secret" not in str(response.body)


def test_however_often_it_is_asked_for_health_is_looked_at_once_in_a_few_seconds(
    web: Web, cloud: Cloud, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask, and each look asks a node, the tables and the queue."""
    now_ms = 1_760_000_000_000
    monkeypatch.setattr(composition, "now_ms", lambda: now_ms)
    environment()
    reads = calls_to(composition.dynamodb(), "Query")
    for _ in range(20):
        assert web("GET", "/health").status_code == 200
    once = len(reads)
    assert 0 < once <= OPEN_SHARDS + 1
    now_ms += HOLDS_MS
    assert web("GET", "/health").status_code == 200
    assert len(reads) == 2 * once


def test_while_halted_no_new_order_would_trade_and_health_says_so_until_it_would_again(
    web: Web, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = 1_760_000_000_000
    monkeypatch.setattr(composition, "now_ms", lambda: now_ms)
    environment()
    assert web.json("GET", "/health")["degraded"] == []

    composition.control_table().halt(GLOBAL, "a secret of the operator's", now_ms)
    now_ms += HOLDS_MS
    response = web("GET", "/health")
    (reason,) = response.json_body["degraded"]
    assert (response.status_code, response.json_body["status"]) == (503, "unavailable")
    assert reason.startswith("halted")
    assert "secret" not in str(response.body)  # anybody may ask

    composition.control_table().resume(GLOBAL)
    now_ms += HOLDS_MS
    assert web.json("GET", "/health")["status"] == "ok"


def test_an_order_that_nobody_comes_to_is_told_of_though_its_message_was_sent_again(
    web: Web, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the sweeper has seen it or not, and until a worker comes to it."""
    now_ms = 1_760_000_000_000
    monkeypatch.setattr(composition, "now_ms", lambda: now_ms)
    environment()
    web.execute()
    now_ms += LATE_MS
    assert web.json("GET", "/health")["degraded"] == []

    now_ms += HOLDS_MS
    first = web("GET", "/health").json_body
    assert [reason.split(":")[0] for reason in first["degraded"]] == ["overdue", "queue"]
    assert "31 s" in first["degraded"][0]
    assert composition.recovery().sweep().handed_back

    now_ms += 10_000
    swept = web("GET", "/health").json_body
    assert (swept["status"], swept["checks"]["orders"]["value"]["overdueSeconds"]) == ("unavailable", 41)

    web.work()
    now_ms += HOLDS_MS
    assert web.json("GET", "/health")["degraded"] == []


def test_pools_that_are_none_are_named_and_the_others_are_traded(web: Web, cloud: Cloud, localnet: Localnet) -> None:
    table = cloud.outputs["PoolsTable"]
    listed = [item["address"]["S"] for item in cloud.dynamodb.scan(TableName=table)["Items"]]
    raydium, meteora = (str(venue.program_id) for venue in VENUES[:2])
    programs = {item["address"]["S"]: item["program"]["S"] for item in cloud.dynamodb.scan(TableName=table)["Items"]}
    mistaken = next(address for address in listed if programs[address] == raydium)
    nowhere, no_pool = str(Pubkey(bytes([7]) * 32)), "So11111111111111111111111111111111111111112"
    for address, program in ((nowhere, raydium), (no_pool, meteora), (mistaken, meteora)):
        cloud.dynamodb.put_item(TableName=table, Item={"address": {"S": address}, "program": {"S": program}})
    assert web("GET", "/quotes?tokenIn=SOL&tokenOut=USDC&amount=1").status_code == 200
    administration = PoolAdministration(cloud.dynamodb, table, SolanaRpc(localnet.url))
    told = list(unfit_pools(administration))
    broken = {nowhere, no_pool, mistaken}
    assert {address for address in broken if any(address in text for text in told)} == broken
    assert len(told) == len(broken)


def test_without_a_pool_no_new_order_would_trade(web: Web, environment: Callable[..., None], cloud: Cloud) -> None:
    for item in cloud.dynamodb.scan(TableName=cloud.outputs["PoolsTable"])["Items"]:
        cloud.dynamodb.delete_item(TableName=cloud.outputs["PoolsTable"], Key={"address": item["address"]})
    response = web("GET", "/health")
    assert (response.status_code, response.json_body["degraded"]) == (
        503,
        ["no pools: no pool that can be traded is registered"],
    )


# --- what browsers and proxies may do with an answer --------------------------------------------------------------


@pytest.mark.parametrize("path", ["/orders", "/orders/none", "/tokens", "/health", "/openapi.json"])
def test_no_answer_is_stored_or_taken_for_something_else(web: Web, path: str) -> None:
    headers = web("GET", path).headers
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert "Strict-Transport-Security" not in headers


def test_what_is_served_over_tls_is_asked_for_over_tls(web: Web, environment: Callable[..., None]) -> None:
    environment(WEBSOCKET_URL="wss://gateway.example/api")
    for path in ("/", "/health", "/orders/none"):
        assert web("GET", path).headers["Strict-Transport-Security"] == "max-age=31536000"


def test_without_a_websocket_no_answer_names_one_and_whoever_asks_for_one_is_told(
    web: Web, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(WEBSOCKET_URL="", WEBSOCKET_ENDPOINT="")
    accepted = web("POST", "/orders/execute", ORDER)
    assert accepted.status_code == 202
    shown = web.json("GET", f"/orders/{accepted.json_body['orderId']}")
    assert shown["history"]
    for answer in (accepted.json_body, shown):
        assert not {"wsUrl", "wsPath"} & answer.keys()
    for method, path in (("POST", "/ws-tickets"), ("GET", "/asyncapi.json")):
        told = problem(web(method, path), 404)
        assert told["type"] == "urn:fillrate:problem:no-websocket"
        assert "GET /orders/{orderId}" in told["detail"]
    policy = web("GET", "/").headers["Content-Security-Policy"]
    assert "connect-src 'self';" in policy


def test_the_page_keeps_its_own_rules_about_being_stored(web: Web) -> None:
    assert web("GET", "/").headers["Cache-Control"] == "no-cache"


def test_a_failure_of_ours_is_500_and_tells_nothing_of_our_insides(web: Web, environment: Callable[..., None]) -> None:
    environment(ORDERS_TABLE="a-table-that-is-not-there")
    for method, path in ROUTES[:4]:
        refused = web(method, path, ORDER if method == "POST" else None)
        problem(refused, 500)
        assert "table" not in str(refused.body).lower()


# --- the whole way ------------------------------------------------------------------------------------------------


def test_an_order_goes_all_the_way_through_the_functions_to_the_chain(
    web: Web, stream: OrdersStream, pushes: Pushes, localnet: Localnet, cloud: Cloud
) -> None:
    order_id = web.execute(amount="0.25")
    web.invoke("ws_connect", socket("CONNECT", "client", queryStringParameters={"orderId": order_id}))
    for _ in range(30):
        if web.work() == {"batchItemFailures": []} and cloud.stored(order_id).is_terminal:
            break
    web.invoke("push_changes", {"Records": stream.new_records()})

    order = web.json("GET", f"/orders/{order_id}")
    assert [change["status"] for change in order["history"]] == [
        "pending", "routing", "building", "submitted", "confirmed",
    ]  # fmt: skip
    config = {"commitment": "confirmed", "maxSupportedTransactionVersion": 1}
    transaction = localnet.call("getTransaction", order["txHash"], config)
    assert transaction["meta"]["err"] is None
    assert Decimal(order["minOut"]) <= Decimal(order["amountOut"])
    assert pushes.to("client") == [{"type": "status", "orderId": order_id, **change} for change in order["history"]]
    assert pushes.closed == ["client"]


def test_a_client_that_stays_connected_is_answered_through_the_functions(web: Web, pushes: Pushes) -> None:
    web.invoke("ws_connect", socket("CONNECT", "stays"))
    web.invoke("ws_message", socket("MESSAGE", "stays", body='{"action": "ping"}'))
    web.invoke("ws_message", socket("MESSAGE", "stays", body="nonsense"))
    pong, error = pushes.to("stays")
    assert pong == {"type": "pong"}
    assert error["type"] == "error"
    order_id = web.execute()
    web.invoke("ws_message", socket("MESSAGE", "stays", body=json.dumps({"action": "subscribe", "orderId": order_id})))
    assert len(web.cloud.connections().watchers(order_id)) == 1
    web.invoke("ws_disconnect", socket("DISCONNECT", "stays"))
    assert web.cloud.connections().watchers(order_id) == []


def test_a_message_that_no_worker_can_handle_is_not_reported_as_done_before_it_is_buried(web: Web) -> None:
    web.cloud.sqs.send_message(QueueUrl=web.cloud.outputs["OrdersQueueUrl"], MessageBody="nonsense")
    assert web.work() == {"batchItemFailures": []}
    assert web.cloud.dead_letters() == [("nonsense", "MalformedMessage")]
