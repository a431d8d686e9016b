"""What operators can follow: one request's id from its header to the last push, and every metric at its place."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest

from chalicelib import composition
from chalicelib.aws import cloudwatch_metrics
from chalicelib.orders.recovery import Recovery
from chalicelib.push.publisher import Publisher
from chalicelib.risk.counters import GLOBAL
from chalicelib.telemetry import logger
from tests.integration.cloud import Cloud, Json, OrdersStream, aws_error
from tests.integration.web import ORDER, Pushes, Web, socket
from tests.log_lines import LogLines, flushed, log_lines_of_the_test, values

CLIENTS_ID = "checkout/7f3a"
SCHEDULED = ("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> LogLines:
    cloudwatch_metrics.flush()
    capsys.readouterr()
    return log_lines_of_the_test(monkeypatch)


def execute(web: Web, **headers: str) -> str:
    response = web("POST", "/orders/execute", ORDER, headers)
    assert response.status_code == 202
    return str(response.json_body["orderId"])


def records_of(cloud: Cloud) -> list[Json]:
    """The queue's messages as Lambda hands them over, attributes and all."""
    response = cloud.sqs.receive_message(
        QueueUrl=cloud.outputs["OrdersQueueUrl"],
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        AttributeNames=["All"],
    )
    return [
        {
            "messageId": one["MessageId"],
            "receiptHandle": one["ReceiptHandle"],
            "body": one["Body"],
            "attributes": one["Attributes"],
            "messageAttributes": {
                name: {"stringValue": value["StringValue"], "dataType": value["DataType"]}
                for name, value in one.get("MessageAttributes", {}).items()
            },
        }
        for one in response.get("Messages", [])
    ]


def test_an_orders_lines_in_every_function_carry_its_id_and_its_requests(
    web: Web, cloud: Cloud, stream: OrdersStream, pushes: Pushes, lines: LogLines
) -> None:
    order_id = execute(web, **{"X-Correlation-Id": CLIENTS_ID})
    web.invoke("ws_connect", socket("CONNECT", "watcher", queryStringParameters={"orderId": order_id}))
    assert web.invoke("execute_order", {"Records": records_of(cloud)}) == {"batchItemFailures": []}
    web.invoke("push_changes", {"Records": stream.new_records()})

    life = [line for line in lines() if line.get("order_id") == order_id]
    assert {line["correlation_id"] for line in life} == {CLIENTS_ID}
    assert [line["message"] for line in life if line["message"] != "order changed"] == [
        "order accepted",
        "order finished",
        "order watched",
    ]
    steps = [line["status"] for line in life if line["message"] == "order changed"]
    assert steps == ["pending", "routing", "building", "submitted", "confirmed"]


@pytest.mark.parametrize(("header", "kept"), [(CLIENTS_ID, True), ("two words", False), ("x" * 65, False)])
def test_the_answer_tells_the_id_and_a_senseless_one_is_replaced(
    web: Web, lines: LogLines, header: str, kept: bool
) -> None:
    for response in (web("GET", "/tokens", None, {"x-correlation-id": header}), web("GET", "/orders/none", None)):
        assert response.headers["x-correlation-id"]
    told = web("GET", "/tokens", None, {"x-correlation-id": header}).headers["x-correlation-id"]
    assert (told == header) is kept
    assert lines.saying("invoked")[-1]["correlation_id"] == told


def test_one_requests_keys_are_gone_at_the_next(web: Web, lines: LogLines) -> None:
    web("GET", "/tokens", None, {"x-correlation-id": CLIENTS_ID})
    web.invoke("sweep", {name: [] if name == "resources" else {} for name in SCHEDULED})
    assert "correlation_id" not in lines.saying("swept")[-1]


def test_each_minute_tells_whether_the_kill_switch_is_thrown(
    web: Web, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    event: Json = {name: [] if name == "resources" else {} for name in SCHEDULED}
    flushed(capsys)
    for thrown, told in ((False, 0), (True, 1), (False, 0)):
        if thrown:
            cloud.control_table().halt(GLOBAL, "a test", 1)
        else:
            cloud.control_table().resume(GLOBAL)
        web.invoke("sweep", event)
        assert values(flushed(capsys), "Halted") == [told]


def test_the_logger_writes_what_is_of_interest_and_each_line_once(web: Web) -> None:
    """Chalice sets up a logger of the app's name, which is ours: AWS would get errors alone, and those twice."""
    assert logger.log_level == logging.INFO
    assert len(logging.getLogger("fillrate").handlers) == 1


def test_the_sweeper_hands_an_order_back_under_its_requests_id(
    web: Web, cloud: Cloud, lines: LogLines, environment: Callable[..., None]
) -> None:
    order_id = execute(web, **{"x-correlation-id": CLIENTS_ID})
    records_of(cloud)
    later = composition.now_ms() + 60_000
    Recovery(composition.order_store(), composition.orders_queue(), composition.starts(), lambda: later).sweep()
    (handed_back,) = lines.saying("order handed back")
    assert (handed_back["order_id"], handed_back["correlation_id"]) == (order_id, CLIENTS_ID)
    (record,) = records_of(cloud)
    assert record["messageAttributes"]["correlationId"]["stringValue"] == CLIENTS_ID


def test_an_order_is_counted_when_it_is_taken_and_once_when_it_ends(
    web: Web, cloud: Cloud, stream: OrdersStream, capsys: pytest.CaptureFixture[str], lines: LogLines
) -> None:
    execute(web)
    assert values(flushed(capsys), "OrdersAccepted") == [1]
    web.invoke("execute_order", {"Records": records_of(cloud)})
    worker = flushed(capsys)
    assert len(values(worker, "QueueAgeMs")) == 1
    assert values(worker, "OrdersByOutcome") == []
    (balance,) = values(worker, "WalletLamports")
    assert balance > 0
    web.invoke("push_changes", {"Records": stream.new_records()})
    ended = flushed(capsys)
    assert values(ended, "OrdersByOutcome", outcome="confirmed") == [1]
    assert values(ended, "QuoteToFillBps") == [0]
    assert len(values(ended, "StepMs")) == 4


def test_a_batch_that_fails_counts_nothing_until_it_comes_again_and_succeeds(
    web: Web,
    cloud: Cloud,
    stream: OrdersStream,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execute(web)
    web.invoke("execute_order", {"Records": records_of(cloud)})
    records = stream.new_records()
    flushed(capsys)

    def out_of_reach(*_: object) -> None:
        raise aws_error("ServiceUnavailable", 503, "Query")

    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "publish", out_of_reach)
        with pytest.raises(Exception, match="ServiceUnavailable"):
            web.invoke("push_changes", {"Records": records})
    assert values(flushed(capsys), "OrdersByOutcome") == []
    web.invoke("push_changes", {"Records": records})
    assert values(flushed(capsys), "OrdersByOutcome", outcome="confirmed") == [1]


def test_a_refusal_for_too_many_requests_is_counted_by_its_reason(
    web: Web, environment: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    environment(ORDERS_PER_MINUTE="2", STARTS_AT_ONCE="1")
    flushed(capsys)
    posted = 40  # the 15 minutes that an account's orders may wait at most hold 30 slots
    statuses = set()
    for _ in range(posted):
        reply = web("POST", "/orders/execute", ORDER)
        statuses.add(reply.status_code)
        if reply.status_code == 202:
            order = composition.order_store().load(reply.json_body["orderId"])
            assert order is not None
            composition.starts().take(order)  # as a worker does: it starts, or comes into line
    assert statuses == {202, 429}
    lines = flushed(capsys)
    accepted, refused = values(lines, "OrdersAccepted"), values(lines, "RateLimited", code="BACKLOGGED")
    assert len(accepted) + len(refused) == posted
    assert refused


def test_a_message_without_an_order_is_a_dead_letter_by_its_reason(
    web: Web, capsys: pytest.CaptureFixture[str], cloud: Cloud
) -> None:
    flushed(capsys)
    cloud.sqs.send_message(QueueUrl=cloud.outputs["OrdersQueueUrl"], MessageBody=json.dumps({"orderId": "gone"}))
    web.invoke("execute_order", {"Records": records_of(cloud)})
    assert values(flushed(capsys), "DeadLetters", reason="UnknownOrder") == [1]


def test_solana_out_of_reach_is_counted_by_what_was_asked(
    web: Web, environment: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    environment(SOLANA_RPC_URL="http://127.0.0.1:9")
    flushed(capsys)
    assert web("GET", "/health").status_code == 503
    assert values(flushed(capsys), "RpcErrors", kind="unavailable", method="getSlot") == [1]
