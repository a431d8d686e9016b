"""The emulator alone: what it has answered is there after a kill, and what can't be is said to be gone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.deployment.ministack_gaps import save_state
from infra.local_stack.emulator.credentials import ensure_credentials
from infra.local_stack.restart import Restart
from infra.local_stack.stack import Layout, _healthy_emulator
from operations.target import Target, target_for
from testing.client import PATIENCE_SECONDS, eventually
from testing.ports import free_port

KEYS: Any = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "part", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "id", "AttributeType": "S"},
        {"AttributeName": "part", "AttributeType": "N"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


class Emulator:
    def __init__(self, directory: Path) -> None:
        self.layout = Layout(directory, aws_port=free_port())
        self.layout.temporary.mkdir(parents=True)
        self.state = self.layout.emulator_state
        self.target: Target = target_for(
            "local", self.layout.aws_url, credentials=ensure_credentials(self.layout.aws_credentials)
        )

    def start(self) -> Restart:
        self.state.mkdir(exist_ok=True)
        service = self.layout.emulator()
        service.start()
        service.wait_until(lambda: _healthy_emulator(self.layout.aws_url), PATIENCE_SECONDS)
        restart = Restart.read(self.state)
        assert restart is not None
        return restart

    def kill(self) -> None:
        os.killpg(json.loads(self.layout.emulator().pid_file.read_text())["pid"], signal.SIGKILL)
        eventually(lambda: not self.layout.emulator().members())

    def stop(self) -> None:
        self.layout.emulator().stop()


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    one = Emulator(tmp_path)
    yield one
    one.stop()


def item(name: str, part: int = 0, **values: str) -> dict[str, Any]:
    return {"id": {"S": name}, "part": {"N": str(part)}, **{key: {"S": value} for key, value in values.items()}}


def test_whatever_was_written_and_answered_is_there_after_a_kill(emulator: Emulator) -> None:
    assert emulator.start() == Restart(was_killed=False, writes=0, unreadable=())
    dynamodb, sqs = emulator.target.client("dynamodb"), emulator.target.client("sqs")
    dynamodb.create_table(TableName="kept", **KEYS)
    dynamodb.put_item(TableName="kept", Item=item("before"))
    queue = sqs.create_queue(QueueName="letters")["QueueUrl"]
    save_state(emulator.target)

    dynamodb.put_item(TableName="kept", Item=item("put", text="line\nbreak and ü"))
    dynamodb.put_item(TableName="kept", Item=item("changed"))
    update = {"UpdateExpression": "SET #n = :n", "ExpressionAttributeNames": {"#n": "n"}}
    dynamodb.update_item(
        TableName="kept", Key=item("changed"), ExpressionAttributeValues={":n": {"N": "1.50"}}, **update
    )
    dynamodb.delete_item(TableName="kept", Key=item("before"))
    together = [{"Put": {"TableName": "kept", "Item": item("together", part)}} for part in range(3)]
    dynamodb.transact_write_items(TransactItems=together)
    saved = (emulator.state / "sqs.json").stat().st_mtime_ns
    sqs.send_message(QueueUrl=queue, MessageBody="dead")
    eventually(lambda: (emulator.state / "sqs.json").stat().st_mtime_ns != saved)
    stood = dynamodb.scan(TableName="kept")["Items"]
    assert len(stood) == 5

    emulator.kill()
    restart = emulator.start()
    assert (restart.was_killed, restart.unreadable) == (True, ())
    assert restart.writes >= 7
    assert dynamodb.scan(TableName="kept")["Items"] == stood
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert message["Body"] == "dead"

    emulator.stop()
    again = emulator.start()
    assert not again.was_killed
    assert dynamodb.scan(TableName="kept")["Items"] == stood


def test_what_was_saved_and_cannot_be_read_is_said_to_be_gone_and_kept(emulator: Emulator) -> None:
    emulator.start()
    emulator.target.client("sqs").create_queue(QueueName="letters")
    save_state(emulator.target)
    emulator.stop()
    (emulator.state / "sqs.json").write_text('{"half')
    assert emulator.start().unreadable == ("sqs",)
    assert (emulator.state / "sqs.json.unreadable").read_text() == '{"half'
    assert emulator.target.client("sqs").list_queues().get("QueueUrls", []) == []
