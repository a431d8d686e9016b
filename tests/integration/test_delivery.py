"""What is done with a queue message follows from what became of its order. The queues are moto's, with redrive."""

from __future__ import annotations

import logging
from collections import deque

import pytest
from botocore.exceptions import ClientError

from chalicelib.aws.orders_queue import MAX_VISIBILITY_SECONDS, SqsOrdersQueue
from chalicelib.orders.delivery import Delivery, Message
from chalicelib.orders.life import cancel
from chalicelib.orders.message import MalformedMessage, message_body, order_id_of
from chalicelib.orders.states import State
from chalicelib.problems import AwsRefused, NoPool, RpcUnavailable
from tests.integration.chain_model import LEASE_MS, Killed, Network, World, kill_at
from tests.integration.cloud import Cloud, aws_error, calls_to
from tests.sample_orders import new_order

ORDER = "order-1"
LEASE_SECONDS = LEASE_MS // 1000


@pytest.fixture
def world(cloud: Cloud) -> World:
    store = cloud.store()
    assert store.create(new_order(ORDER))
    return World(store)


def delivery(cloud: Cloud, world: World) -> Delivery:
    return Delivery(world.worker(), cloud.orders_queue(), lambda: LEASE_MS)


def send(cloud: Cloud, body: str = message_body(ORDER)) -> list[Message]:
    """A message of this body, received: a worker has it now. Older ones that are visible again are left out."""
    sent = cloud.sqs.send_message(QueueUrl=cloud.outputs["OrdersQueueUrl"], MessageBody=body)
    return [message for message in cloud.receive() if message.message_id == sent["MessageId"]]


def visibility_of(calls: list[dict[str, int]]) -> list[int]:
    """The visibility time-outs that messages were given, in seconds."""
    return [call["VisibilityTimeout"] for call in calls]


def test_the_message_of_a_finished_order_is_done_with(cloud: Cloud, world: World) -> None:
    messages = send(cloud)
    assert delivery(cloud, world).handle(messages, "worker") == []
    assert world.stored(ORDER).state is State.CONFIRMED
    assert cloud.dead_letters() == []


def test_a_message_is_hidden_for_the_lease_before_anything_else(cloud: Cloud, world: World) -> None:
    """So that it is back when a worker that dies has lost its lease, and not before."""
    messages, calls = send(cloud), calls_to(cloud.sqs, "ChangeMessageVisibility")
    world.at_point = kill_at("before writing routing")
    with pytest.raises(Killed):
        delivery(cloud, world).handle(messages, "worker")
    assert visibility_of(calls) == [LEASE_SECONDS]


@pytest.mark.parametrize(
    "body",
    [
        "", "x", "null", "[]", "1", '"order-1"', "{}", '{"orderId": null}', '{"orderId": 1}', '{"orderId": ""}',
        '{"orderid": "order-1"}', '{"orderId": ["order-1"]}', "{" * 50, "[" * 20_000,
        '{"orderId": "a b"}', '{"orderId": "a\\n"}', '{"orderId": "\\ud800"}', '{"orderId": "' + "x" * 65 + '"}',
        '{"orderId": "order-1"}' + " " * 200_000,
    ],
)  # fmt: skip
def test_a_message_that_names_no_order_is_buried_with_the_reason(cloud: Cloud, world: World, body: str) -> None:
    with pytest.raises(MalformedMessage):
        order_id_of(body)
    messages = [Message("id", send(cloud)[0].receipt_handle, body or " ")]
    assert delivery(cloud, world).handle(messages, "worker") == []
    assert cloud.dead_letters() == [(body or " ", "MalformedMessage")]
    assert world.stored(ORDER) == new_order(ORDER)


@pytest.mark.parametrize("order_id", ["unknown", "x" * 64])
def test_a_message_about_an_order_that_is_not_stored_is_buried(cloud: Cloud, world: World, order_id: str) -> None:
    messages = send(cloud, message_body(order_id))
    assert delivery(cloud, world).handle(messages, "worker") == []
    assert cloud.dead_letters() == [(message_body(order_id), "UnknownOrder")]


def test_the_message_of_a_failed_attempt_comes_back_after_its_wait(cloud: Cloud, world: World) -> None:
    world.market.extend([RpcUnavailable("no answer")] * 2)
    for attempt, seconds in ((1, 1), (2, 2)):
        messages, calls = send(cloud), calls_to(cloud.sqs, "ChangeMessageVisibility")
        assert delivery(cloud, world).handle(messages, f"worker-{attempt}") == [messages[0].message_id]
        assert visibility_of(calls) == [LEASE_SECONDS, seconds]
        world.now_ms += seconds * 1000


@pytest.mark.parametrize(("waited_ms", "seconds"), [(0, 1), (1, 1), (400, 1), (999, 1)])
def test_a_wait_is_rounded_up_to_a_whole_second(cloud: Cloud, world: World, waited_ms: int, seconds: int) -> None:
    world.market.append(RpcUnavailable("no answer"))
    delivery(cloud, world).handle(send(cloud), "worker")
    world.now_ms += waited_ms
    messages, calls = send(cloud), calls_to(cloud.sqs, "ChangeMessageVisibility")
    assert delivery(cloud, world).handle(messages, "early") == [messages[0].message_id]
    assert visibility_of(calls) == [LEASE_SECONDS, seconds]


@pytest.mark.parametrize(
    ("delay_ms", "seconds"),
    [(-5, 0), (0, 0), (1, 1), (1000, 1), (1001, 2), (LEASE_MS, LEASE_SECONDS), (10**12, MAX_VISIBILITY_SECONDS)],
)
def test_a_delay_is_whole_seconds_that_the_queue_allows(cloud: Cloud, delay_ms: int, seconds: int) -> None:
    (message,), calls = send(cloud), calls_to(cloud.sqs, "ChangeMessageVisibility")
    cloud.orders_queue().show_again_in(message.receipt_handle, delay_ms)
    assert visibility_of(calls) == [seconds]


def test_a_message_with_no_wait_left_can_be_received_again_at_once(cloud: Cloud) -> None:
    (message,) = send(cloud)
    assert cloud.receive() == []
    cloud.orders_queue().show_again_in(message.receipt_handle, 0)
    assert [again.body for again in cloud.receive()] == [message.body]


# As SQS says that a message is another's by now: by JSON's code, by a query's, by words; and two other refusals.
CAME_BACK = [
    ("ReceiptHandleIsInvalid", "The input receipt handle is invalid."),
    ("AWS.SimpleQueueService.MessageNotInflight", "The message is not in flight."),
    ("InvalidParameterValue", "Message does not exist or is not available for visibility timeout change."),
]
REFUSED = [("InvalidParameterValue", "VisibilityTimeout is too long."), ("AccessDenied", "no such right")]


def refuse_visibility(cloud: Cloud, code: str, words: str) -> None:
    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": code, "Message": words}}, "ChangeMessageVisibility")

    cloud.sqs.meta.events.register("provide-client-params.sqs.ChangeMessageVisibility", refuse)


@pytest.mark.parametrize(("code", "words"), CAME_BACK)
def test_a_worker_that_took_longer_than_its_message_was_hidden_leaves_it_to_whom_it_came_to(
    cloud: Cloud, world: World, capsys: pytest.CaptureFixture[str], code: str, words: str
) -> None:
    """At a node's pace a worker may wait for longer. Nothing has failed."""
    world.market.append(RpcUnavailable("no answer"))
    messages = send(cloud)
    refuse_visibility(cloud, code, words)

    failed = delivery(cloud, world).handle(messages, "worker")

    assert failed == [messages[0].message_id], "else it would be deleted under the other worker"
    assert world.stored(ORDER).retry_count == 1, "it was worked on"
    assert "worker failed" not in capsys.readouterr().out
    cloud.watch_queue().show_again_in(messages[0].receipt_handle, 1_000)


@pytest.mark.parametrize(("code", "words"), REFUSED)
def test_any_other_refusal_to_show_a_message_again_is_an_error(cloud: Cloud, code: str, words: str) -> None:
    (message,) = send(cloud)
    refuse_visibility(cloud, code, words)
    for queue in (cloud.orders_queue(), cloud.watch_queue()):
        with pytest.raises(AwsRefused, match=code):
            queue.show_again_in(message.receipt_handle, 1_000)


def test_the_message_of_an_undecided_transaction_comes_back_in_a_second(cloud: Cloud, world: World) -> None:
    world.network = deque([Network.DROPS])
    messages, calls = send(cloud), calls_to(cloud.sqs, "ChangeMessageVisibility")
    assert delivery(cloud, world).handle(messages, "worker") == [messages[0].message_id]
    assert visibility_of(calls) == [LEASE_SECONDS, 1]


def test_a_second_message_for_an_order_in_hand_comes_back_when_the_lease_is_over(cloud: Cloud, world: World) -> None:
    world.at_point = kill_at("planning")
    with pytest.raises(Killed):
        delivery(cloud, world).handle(send(cloud), "dies")
    world.at_point = lambda passed: None
    world.now_ms += 5_500
    messages, calls = send(cloud), calls_to(cloud.sqs, "ChangeMessageVisibility")
    assert delivery(cloud, world).handle(messages, "other") == [messages[0].message_id]
    assert visibility_of(calls) == [LEASE_SECONDS, 20]


def test_two_messages_of_one_invocation_are_two_owners(cloud: Cloud, world: World) -> None:
    """Else the second would take the first's lease for its own."""
    owners: set[str] = set()

    def at_point(passed: str) -> None:
        lease = world.stored(ORDER).lease
        owners.update({lease.owner} if lease else ())

    world.at_point = at_point
    world.market.append(RpcUnavailable("no answer"))
    delivery(cloud, world).handle(send(cloud), "invocation")
    world.now_ms += 1_000
    delivery(cloud, world).handle(send(cloud), "invocation")
    assert len(owners) == 2


def test_an_order_that_used_up_its_attempts_goes_to_the_dead_letters(cloud: Cloud, world: World) -> None:
    world.market.extend([RpcUnavailable("no answer")] * 3)
    for wait_ms in (1_000, 2_000, 0):
        outcome = delivery(cloud, world).handle(send(cloud), f"worker-{wait_ms}")
        world.now_ms += wait_ms
    assert outcome == []
    assert world.stored(ORDER).retry_count == 3
    assert cloud.dead_letters() == [(message_body(ORDER), "RPC_UNAVAILABLE")]


def test_an_order_that_failed_for_good_at_once_needs_no_burial(cloud: Cloud, world: World) -> None:
    world.market.append(NoPool("none"))
    assert delivery(cloud, world).handle(send(cloud), "worker") == []
    assert world.stored(ORDER).state is State.FAILED
    assert cloud.dead_letters() == []


def test_a_cancelled_orders_message_is_done_with(cloud: Cloud, world: World) -> None:
    world.store.replace(cancel(world.stored(ORDER), world.now_ms))
    assert delivery(cloud, world).handle(send(cloud), "worker") == []
    assert world.built == 0


def test_each_order_that_fails_for_good_leaves_a_post_mortem_in_the_log(
    cloud: Cloud, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.market.append(RpcUnavailable("no answer"))
    delivery(cloud, world).handle(send(cloud), "worker")
    world.now_ms += 1_000
    world.market.append(NoPool("none"))
    with caplog.at_level(logging.ERROR):
        delivery(cloud, world).handle(send(cloud), "worker")
    (record,) = [record for record in caplog.records if record.message == "order failed"]
    told = vars(record)
    assert (told["attempts"], told["retry_count"], told["error_code"], told["error"]) == (2, 1, "NO_POOL", "none")
    assert [step["status"] for step in told["steps"]] == ["pending", "routing", "failed", "routing", "failed"]
    first, second = told["failed_attempts"]
    assert (first["attempt"], first["errorCode"], first["error"]) == (1, "RPC_UNAVAILABLE", "no answer")
    assert (second["attempt"], second["errorCode"], second["error"]) == (2, "NO_POOL", "none")
    assert second["startedAtMs"] - first["startedAtMs"] == 1_000
    assert second["stepsAfterMs"] == {"routing": 0, "failed": 0}


# --- surprises ----------------------------------------------------------------------------------------------------


def test_a_surprise_in_one_message_neither_escapes_nor_holds_up_the_others(cloud: Cloud, world: World) -> None:
    world.store.create(new_order("order-2"))

    def at_point(passed: str) -> None:
        if passed == "planning" and world.stored(ORDER).state is State.ROUTING and not world.stored(ORDER).tx_hash:
            raise ZeroDivisionError

    world.at_point = at_point
    (first,), (second,) = send(cloud), send(cloud, message_body("order-2"))
    failed = delivery(cloud, world).handle([first], "worker")
    world.at_point = lambda passed: None
    assert failed == [first.message_id]
    assert delivery(cloud, world).handle([second], "worker") == []
    assert world.stored("order-2").state is State.CONFIRMED


@pytest.mark.parametrize("operation", ["show_again_in", "bury"])
@pytest.mark.parametrize("body", ["no order", message_body("unknown"), message_body(ORDER)])
def test_a_queue_that_does_not_answer_brings_the_message_back_and_stops_nothing(
    cloud: Cloud, world: World, operation: str, body: str
) -> None:
    class FailingQueue(SqsOrdersQueue):
        def show_again_in(self, receipt_handle: str, delay_ms: int) -> None:
            if operation == "show_again_in":
                raise aws_error("ServiceUnavailable", 503, "ChangeMessageVisibility")
            super().show_again_in(receipt_handle, delay_ms)

        def bury(self, body: str, reason: str, correlation_id: str = "") -> None:
            if operation == "bury":
                raise aws_error("ServiceUnavailable", 503, "SendMessage")
            super().bury(body, reason)

    world.market.extend([RpcUnavailable("no answer")] * 3)
    for _ in range(2):  # so that this delivery is the last attempt, and would bury
        delivery(cloud, world).handle(send(cloud), "worker")
        world.now_ms += 2_000
    queue = FailingQueue(cloud.sqs, cloud.outputs["OrdersQueueUrl"], cloud.outputs["DeadLetterQueueUrl"])
    messages = send(cloud, body)
    assert Delivery(world.worker(), queue, lambda: LEASE_MS).handle(messages, "worker") == (
        [] if operation == "show_again_in" and body == "no order" else [messages[0].message_id]
    )


def test_a_burial_that_failed_is_made_up_for_by_the_next_delivery(cloud: Cloud, world: World) -> None:
    world.market.extend([RpcUnavailable("no answer")] * 3)
    for _ in range(3):
        delivery(cloud, world).handle(send(cloud), "worker")
        world.now_ms += 2_000
    cloud.dead_letters()
    assert delivery(cloud, world).handle(send(cloud), "again") == []
    assert cloud.dead_letters() == [(message_body(ORDER), "RPC_UNAVAILABLE")]


def test_a_worker_that_is_killed_is_not_held_back_by_the_boundary(cloud: Cloud, world: World) -> None:
    world.at_point = kill_at("after sending")
    with pytest.raises(Killed):
        delivery(cloud, world).handle(send(cloud), "dies")
    world.at_point = lambda passed: None
    world.now_ms += LEASE_MS
    assert delivery(cloud, world).handle(send(cloud), "next") == []
    assert len(world.chain.swaps_of(ORDER)) == 1


def test_how_many_wait_is_about_what_is_in_the_queue(cloud: Cloud) -> None:
    queue = cloud.orders_queue()
    assert queue.waiting() == 0
    queue.enqueue("order-1")
    queue.enqueue("order-2")
    assert queue.waiting() == 2
