"""What is done with a message: told from what became of its order, and never at another message's expense."""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import Any

import pytest

from chalicelib.aws.cloudwatch_metrics import flush
from chalicelib.log import carried
from chalicelib.orders.delivery import Delivery, Message, message_of, takeover_ms
from chalicelib.orders.execution import WATCH_MARGIN_MS, ComeBack, Finished, UnknownOrder, Waits
from chalicelib.orders.life import MAX_ATTEMPTS
from chalicelib.orders.message import message_body
from chalicelib.orders.order import Order
from chalicelib.orders.turns import Waiting
from tests.log_lines import flushed, values
from tests.sample_orders import cancelled, confirmed, failed

NOW = 1_760_000_000_123
LEASE_MS = 25_000
MESSAGE = Message("message-1", "receipt-1", message_body("order-1"), "request-1")


# --- what Lambda hands over ---------------------------------------------------------------------------------------


def record(own: dict[str, Any] | None = None, **attributes: str) -> dict[str, Any]:
    whole: dict[str, Any] = {"messageId": "message-1", "receiptHandle": "receipt-1", "body": "the body"}
    whole["attributes"] = attributes
    return whole if own is None else whole | {"messageAttributes": own}


def test_a_record_is_a_message_with_the_request_that_it_is_of() -> None:
    named = {"correlationId": {"stringValue": "request-1", "dataType": "String"}}
    assert message_of(record(named), NOW) == Message("message-1", "receipt-1", "the body", "request-1", None)
    nameless: list[dict[str, Any] | None] = [None, {}, {"correlationId": {}}]
    for unnamed in nameless:
        assert message_of(record(unnamed), NOW).correlation_id == ""


@pytest.mark.parametrize(
    ("count", "sent_ms", "waited_ms"),
    [("1", NOW - 700, 700), ("1", NOW, 0), ("1", NOW + 5, 0), ("2", NOW - 700, None), ("11", NOW - 700, None)],
)
def test_how_long_a_message_waited_is_told_by_its_first_receipt(
    count: str, sent_ms: int, waited_ms: int | None
) -> None:
    received = record(ApproximateReceiveCount=count, SentTimestamp=str(sent_ms))
    assert message_of(received, NOW).waited_ms == waited_ms


def test_how_long_a_message_waited_is_not_told_where_the_queue_does_not_say() -> None:
    assert message_of(record(ApproximateReceiveCount="1"), NOW).waited_ms is None
    assert message_of(record(SentTimestamp=str(NOW)), NOW).waited_ms is None
    bare = record()
    del bare["attributes"]
    assert message_of(bare, NOW).waited_ms is None


def test_another_worker_comes_when_the_signer_would_have_stopped_watching_or_has_lost_its_lease() -> None:
    assert takeover_ms(10_000, LEASE_MS) == 10_000 + WATCH_MARGIN_MS
    assert takeover_ms(LEASE_MS, LEASE_MS) == LEASE_MS


# --- what becomes of it -------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """An execution that answers as it is told, and a queue that notes all that is asked of it."""

    outcomes: list[Finished | ComeBack | Waits | Exception]
    runs: list[tuple[str, str]] = field(default_factory=list)
    log_lines_are_of: list[tuple[object, object]] = field(default_factory=list)  # order, request
    done: list[tuple[object, ...]] = field(default_factory=list)

    def run(self, order_id: str, owner: str) -> Finished | ComeBack | Waits:
        self.runs.append((order_id, owner))
        self.log_lines_are_of.append((carried("order_id"), carried("correlation_id")))
        self.done.append(("run",))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def show_again_in(self, receipt_handle: str, delay_ms: int) -> None:
        self.done.append(("show again", receipt_handle, delay_ms))

    def enqueue(self, order_id: str, delay_ms: int = 0, correlation_id: str = "") -> None:
        self.done.append(("enqueue", order_id, delay_ms, correlation_id))

    def bury(self, body: str, reason: str, correlation_id: str = "") -> None:
        self.done.append(("bury", body, reason, correlation_id))

    def handle(self, *messages: Message) -> list[str]:
        """The ids of those that must come back."""
        return Delivery(self, self, lambda: LEASE_MS).handle(messages, "worker")  # type: ignore[arg-type]


HIDDEN = ("show again", "receipt-1", LEASE_MS)
# The message for an order that has none, should its worker die.
IN_CASE = ("enqueue", "order-2", LEASE_MS, "request-2")


@pytest.mark.parametrize("order", [confirmed(), cancelled(), failed()])
def test_the_message_of_a_finished_order_is_hidden_for_the_lease_first_and_then_done_with(order: Order) -> None:
    desk = Desk([Finished(order)])
    assert desk.handle(MESSAGE) == []
    assert desk.runs == [("order-1", "worker/message-1")]
    assert desk.done == [HIDDEN, ("run",)]


def test_the_message_of_an_order_that_wants_to_go_on_comes_back_when_it_says() -> None:
    desk = Desk([ComeBack(1_500, "backing off")])
    assert desk.handle(MESSAGE) == ["message-1"]
    assert desk.done == [HIDDEN, ("run",), ("show again", "receipt-1", 1_500)]


@pytest.mark.parametrize(("code", "reason"), [("RPC_UNAVAILABLE", "RPC_UNAVAILABLE"), (None, "FAILED")])
def test_an_order_that_used_up_its_attempts_goes_to_the_dead_letters_with_its_reason(
    capsys: pytest.CaptureFixture[str], code: str | None, reason: str
) -> None:
    flush()
    capsys.readouterr()
    ended = changed(failed(), retry_count=MAX_ATTEMPTS, error_code=code)
    desk = Desk([Finished(ended)])
    assert desk.handle(MESSAGE) == []
    assert desk.done == [HIDDEN, ("run",), ("bury", MESSAGE.body, reason, "request-1")]
    metrics = flushed(capsys)
    assert values(metrics, "DeadLetters") == [1]
    assert [line["reason"] for line in metrics if "DeadLetters" in line] == [reason]


def test_only_a_failed_order_that_used_up_its_attempts_is_buried() -> None:
    for order in (changed(failed(), retry_count=MAX_ATTEMPTS - 1), changed(confirmed(), retry_count=MAX_ATTEMPTS)):
        desk = Desk([Finished(order)])
        assert desk.handle(MESSAGE) == []
        assert desk.done == [HIDDEN, ("run",)]


def test_a_message_that_names_no_order_is_buried_with_why_and_nobody_works_on_it() -> None:
    desk = Desk([])
    assert desk.handle(changed(MESSAGE, body="{}")) == []
    assert desk.done == [("bury", "{}", "MalformedMessage", "request-1")]


def test_a_message_about_an_order_that_is_not_stored_is_buried_with_why() -> None:
    desk = Desk([UnknownOrder("order-1")])
    assert desk.handle(MESSAGE) == []
    assert desk.done == [HIDDEN, ("run",), ("bury", MESSAGE.body, "UnknownOrder", "request-1")]


def test_a_surprise_in_one_message_brings_that_one_back_and_holds_up_no_other() -> None:
    desk = Desk([ZeroDivisionError(), Finished(confirmed())])
    assert desk.handle(MESSAGE, changed(MESSAGE, message_id="message-2")) == ["message-1"]
    assert [owner for _, owner in desk.runs] == ["worker/message-1", "worker/message-2"]


def test_the_message_of_an_order_that_waits_for_its_turn_is_done_with() -> None:
    desk = Desk([Waits()])
    assert desk.handle(MESSAGE) == []
    assert desk.done == [HIDDEN, ("run",)]


ANOTHER = Waiting("order-2", "another", NOW, needs_slot=True, correlation_id="request-2")


def test_a_worker_whose_order_waits_works_on_the_one_whose_turn_it_is() -> None:
    desk = Desk([Waits(ANOTHER), Finished(confirmed())])
    assert desk.handle(MESSAGE) == []
    assert desk.runs == [("order-1", "worker/message-1"), ("order-2", "worker/message-1")]
    assert desk.log_lines_are_of == [("order-1", "request-1"), ("order-2", "request-2")]
    assert desk.done == [HIDDEN, ("run",), IN_CASE, ("run",)]


def test_another_order_that_wants_to_go_on_gets_a_message_of_its_own() -> None:
    desk = Desk([Waits(ANOTHER), ComeBack(1_500, "backing off")])
    assert desk.handle(MESSAGE) == []
    assert desk.done == [HIDDEN, ("run",), IN_CASE, ("run",), ("enqueue", "order-2", 1_500, "request-2")]


def test_another_order_that_used_up_its_attempts_is_the_dead_letter_and_not_the_one_that_waits() -> None:
    ended = changed(failed(), order_id="order-2", retry_count=MAX_ATTEMPTS, error_code="RPC_UNAVAILABLE")
    desk = Desk([Waits(ANOTHER), Finished(ended)])
    assert desk.handle(MESSAGE) == []
    assert desk.done[-1] == ("bury", message_body("order-2"), "RPC_UNAVAILABLE", "request-2")


def test_an_order_that_was_to_be_worked_on_instead_and_waits_itself_gives_way_to_the_next() -> None:
    desk = Desk([Waits(ANOTHER), Waits(changed(ANOTHER, order_id="order-3")), Finished(confirmed())])
    assert desk.handle(MESSAGE) == []
    assert [order_id for order_id, _ in desk.runs] == ["order-1", "order-2", "order-3"]


def test_how_long_a_message_waited_is_measured_where_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    flush()
    capsys.readouterr()
    Desk([ComeBack(1, "")]).handle(MESSAGE)
    assert values(flushed(capsys), "QueueAgeMs") == []
    Desk([ComeBack(1, "")]).handle(changed(MESSAGE, waited_ms=700))
    assert values(flushed(capsys), "QueueAgeMs") == [700]
