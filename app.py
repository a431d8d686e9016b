"""Every route, queue, stream and WebSocket handler of Fillrate. No logic here: see chalicelib."""

from __future__ import annotations

import gc

gc.disable()  # until all is imported: what imports make stays, and looking through it took a fifth of a cold start

import os
import sys
import uuid
from collections.abc import Callable
from typing import Any

from chalice.app import (
    AuthRequest,
    AuthResponse,
    Chalice,
    CloudWatchEvent,
    DynamoDBEvent,
    Rate,
    Request,
    Response,
    SQSEvent,
    WebsocketEvent,
)

from chalicelib import composition, correlation
from chalicelib.access.authentication import HEADER
from chalicelib.access.caller import Caller
from chalicelib.access.keys import Scope
from chalicelib.aws.dynamodb.orders_stream import ended_orders
from chalicelib.http.responses import answer, as_problem, guarded, page, with_header
from chalicelib.metrics import Metric, note
from chalicelib.orders.delivery import message_of
from chalicelib.orders.endings import note_endings
from chalicelib.risk.counters import GLOBAL
from chalicelib.telemetry import correlation_id, invocation

gc.freeze()
gc.enable()

# Set by .chalice/config.json, and not where infra/deployment runs Chalice: what that adds, no order can do without.
if "CHALICE_ALONE" in os.environ and {"deploy", "package"} & set(sys.argv):
    raise SystemExit(
        "Chalice alone can't deploy Fillrate: it makes no tables and no queue. Nothing was changed. Use\n"
        "  python -m infra.deploy --stage STAGE --wallet WALLET\n"
        "or, for Chalice's own deploy with what it lacks (AWS, and LocalStack with a licence),\n"
        "  python -m infra.chalice_deploy --stage STAGE --wallet WALLET\n"
        "docs/deploy.md explains both."
    )

ORDERS_QUEUE_ARN = os.environ.get("ORDERS_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:orders")
WATCH_QUEUE_ARN = os.environ.get("WATCH_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:watch")
ORDERS_STREAM_ARN = os.environ.get("ORDERS_STREAM_ARN", "arn:aws:dynamodb:us-east-1:000000000000:table/o/stream/0")

# Chalice would put the logger of this name, which is ours, at ERROR, and add a handler of its own, which writes
# everything a second time, line breaks and all.
app = Chalice(app_name="fillrate", configure_logs=False)
app.experimental_feature_flags.update(["WEBSOCKETS"])
app.api.binary_types = []
# Bodies are JSON whatever their media type is called: `curl -d` calls it a form.
ANY_BODY = ["application/json", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream"]


@app.middleware("all")
def observe(event: Any, get_response: Callable[[Any], Any]) -> Any:
    with invocation(event):
        return get_response(event)


@app.middleware("http")
def wait_for_nodes_anew(event: Request, get_response: Callable[[Request], Response]) -> Response:
    composition.start_request()
    return get_response(event)


@app.middleware("http")
def guard_answers(event: Request, get_response: Callable[[Request], Response]) -> Response:
    return guarded(get_response(event), over_tls=composition.is_over_tls())


@app.middleware("http")
def answer_errors_as_problems(event: Request, get_response: Callable[[Request], Response]) -> Response:
    return as_problem(get_response(event))


@app.middleware("http")
def tell_correlation_id(event: Request, get_response: Callable[[Request], Response]) -> Response:
    return with_header(get_response(event), correlation.HEADER, correlation_id())


def request() -> Request:
    current = app.current_request
    assert current is not None, "only called while a request is served"
    return current


def invocation_id(event: SQSEvent) -> str:
    return str(getattr(event.context, "aws_request_id", "") or uuid.uuid4())


@app.authorizer(header=HEADER, ttl_seconds=30)
def authorize(asked: AuthRequest) -> AuthResponse:
    """The gateway's authorizer, whose answer it caches for a while; `caller` checks the key again at each request."""
    key = composition.authentication().recognise(asked.token)
    return AuthResponse(routes=["*"] if key else [], principal_id=key.account if key else "nobody")


def caller(scope: Scope) -> Caller:
    return composition.authentication().caller(request().headers, scope)


def order_placer() -> Caller:
    composition.order_reads().begin(request().headers)
    return caller(Scope.TRADE)


@app.route("/", methods=["GET"])
def show_page() -> Response:
    return page(request(), "index.html")


@app.route("/assets/{name}", methods=["GET"])
def show_asset(name: str) -> Response:
    return page(request(), name)


@app.route("/orders/execute", methods=["POST"], content_types=ANY_BODY, authorizer=authorize)
def execute_order_route() -> Response:
    return answer(lambda: composition.orders_api().execute(order_placer(), request().raw_body, request().headers))


@app.route("/orders", methods=["GET"], authorizer=authorize)
def list_orders() -> Response:
    return answer(lambda: composition.orders_api().list(caller(Scope.READ), request().query_params or {}))


@app.route("/orders", methods=["DELETE"], authorizer=authorize)
def cancel_orders() -> Response:
    return answer(lambda: composition.orders_api().cancel_many(caller(Scope.TRADE), request().query_params or {}))


@app.route("/orders/{order_id}", methods=["GET"], authorizer=authorize)
def show_order(order_id: str) -> Response:
    return answer(lambda: composition.orders_api().show(caller(Scope.READ), order_id))


@app.route("/orders/{order_id}", methods=["DELETE"], authorizer=authorize)
def cancel_order(order_id: str) -> Response:
    return answer(lambda: composition.orders_api().cancel(caller(Scope.TRADE), order_id))


@app.route("/fills", methods=["GET"], authorizer=authorize)
def list_fills() -> Response:
    return answer(lambda: composition.account_api().fills(caller(Scope.READ), request().query_params or {}))


@app.route("/balances", methods=["GET"], authorizer=authorize)
def show_balances() -> Response:
    return answer(lambda: composition.account_api().balances(caller(Scope.READ)))


@app.route("/orders/{order_id}", methods=["PATCH"], content_types=ANY_BODY, authorizer=authorize)
def change_order(order_id: str) -> Response:
    return answer(lambda: composition.orders_api().change(caller(Scope.TRADE), order_id, request().raw_body))


@app.route("/ws-tickets", methods=["POST"], content_types=ANY_BODY, authorizer=authorize)
def issue_ws_ticket() -> Response:
    return answer(lambda: composition.tickets_api().issue(caller(Scope.READ), request().raw_body))


@app.route("/quotes", methods=["GET"], authorizer=authorize)
def quotes() -> Response:
    return answer(lambda: composition.market_api().quotes(caller(Scope.READ), request().query_params or {}))


@app.route("/tokens", methods=["GET"], authorizer=authorize)
def tokens() -> Response:
    return answer(lambda: composition.market_api().tokens(caller(Scope.READ)))


@app.route("/health", methods=["GET"])
def health() -> Response:
    return answer(lambda: composition.health().check())


@app.route("/openapi.json", methods=["GET"])
def openapi() -> Response:
    return answer(lambda: (200, composition.openapi_document()))


@app.route("/asyncapi.json", methods=["GET"])
def asyncapi() -> Response:
    return answer(lambda: (200, composition.asyncapi_document()))


@app.on_sqs_message(queue_arn=ORDERS_QUEUE_ARN, batch_size=1, maximum_concurrency=11, name="execute_order")
def execute_order(event: SQSEvent) -> dict[str, Any]:
    messages = [message_of(raw, composition.now_ms()) for raw in event.to_dict()["Records"]]
    failed = composition.delivery().handle(messages, invocation_id(event))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@app.on_sqs_message(queue_arn=WATCH_QUEUE_ARN, batch_size=1, maximum_concurrency=20, name="watch_pairs")
def watch_pairs(event: SQSEvent) -> dict[str, Any]:
    messages = [message_of(raw, composition.now_ms()) for raw in event.to_dict()["Records"]]
    failed = composition.watch().handle(messages, invocation_id(event))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@app.on_dynamodb_record(
    stream_arn=ORDERS_STREAM_ARN, batch_size=100, starting_position="TRIM_HORIZON", name="push_changes"
)
def push_changes(event: DynamoDBEvent) -> dict[str, Any]:
    composition.publisher().publish(event.to_dict()["Records"])
    note_endings(
        ended_orders(event.to_dict()["Records"])
    )  # last: a batch that failed comes again, and must not count before
    return {"batchItemFailures": []}


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep")
def sweep(_event: CloudWatchEvent) -> None:
    composition.recovery().sweep()
    composition.connection_sweep().sweep()
    composition.wakes().sweep()
    note(Metric.LOOKS_LATE_MS, composition.late_looks().now().late_ms)
    note(Metric.HALTED, int(composition.control_table().halt_in(GLOBAL) is not None))


@app.schedule(Rate(1, unit=Rate.HOURS), name="discover_pools")
def discover_pools(_event: CloudWatchEvent) -> None:
    composition.scheduled_search().run()


@app.on_ws_connect(name="ws_connect")
def ws_connect(event: WebsocketEvent) -> dict[str, int]:
    return composition.session().admit(event.connection_id, event.to_dict().get("queryStringParameters") or {})


@app.on_ws_message(name="ws_message")
def ws_message(event: WebsocketEvent) -> None:
    composition.session().receive(event.connection_id, event.body)


@app.on_ws_disconnect(name="ws_disconnect")
def ws_disconnect(event: WebsocketEvent) -> None:
    composition.session().disconnect(event.connection_id)
