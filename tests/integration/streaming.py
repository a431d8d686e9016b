"""A stage of pairs that are looked at, with clients that stream quotes and are heard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chalicelib.push.session import Session
from chalicelib.waiting.circulation import Circulation, WatchMessage
from chalicelib.waiting.quote_stream import QuoteStream
from tests.asyncapi_contract import check_message
from tests.integration.cloud import Cloud
from tests.integration.test_watch import PAIR, Stage

Json = dict[str, Any]
QUOTES = {"action": "quotes", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "10"}
END = {"action": "unsubscribe", "tokenIn": "SOL", "tokenOut": "USDC"}


@dataclass
class Streams:
    """A stage with clients that talk to it."""

    stage: Stage

    @property
    def cloud(self) -> Cloud:
        return self.stage.cloud

    def connect(self, *clients: str, account: str = "local") -> None:
        for client in clients:
            self.cloud.connection_table().open(client, account, None, self.stage.now_ms)

    def session(self) -> Session:
        return Session(
            self.cloud.store(),
            self.cloud.connections(),
            self.cloud.connection_table(),
            self.stage.api.gateway(),
            self.cloud.tickets(self.stage.clock),
            self.stage.clock,
            "local",
            self.cloud.stream_requests(self.stage.clock),
        )

    def say(self, message: Json, client: str = "ann") -> list[Json]:
        """What the client is answered at once. It is in no hurry, and a wish has the pair looked at."""
        self.stage.now_ms += 100
        before = len(self.heard(client))
        self.session().receive(client, json.dumps(message))
        self.pass_wakes_on()
        return self.heard(client)[before:]

    def pass_wakes_on(self) -> None:
        """From the queue that the session knows to that of the stage, whose time is at hand."""
        url = self.cloud.outputs["WatchQueueUrl"]
        while found := self.cloud.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages", []):
            for one in found:
                self.cloud.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
                self.stage.send(WatchMessage(json.loads(one["Body"])["pair"]))

    def heard(self, client: str = "ann") -> list[Json]:
        messages = self.stage.api.received(client)
        for message in messages:
            check_message(message)
        return messages

    def quotes(self, client: str = "ann") -> list[Json]:
        return [message for message in self.heard(client) if message["type"] in ("quote", "quote-error")]

    def paid(self, client: str = "ann") -> list[str]:
        """What its quotes paid, one after the other; for an error its code."""
        return [message.get("amountOut") or message["errorCode"] for message in self.quotes(client)]

    def circulation(self) -> Circulation | None:
        return self.cloud.circulations().load(PAIR)

    def counted(self, name: str) -> set[str]:
        key = {"name": {"S": name}}
        table = self.cloud.outputs["ConnectionsTable"]
        item = self.cloud.dynamodb.get_item(TableName=table, Key=key).get("Item", {})
        return set(item.get("quotes", {}).get("SS", ()))

    def stored(self) -> list[QuoteStream]:
        return list(self.cloud.quote_streams().all())


def streams_on(cloud: Cloud) -> Streams:
    """A stage to which two clients are connected."""
    made = Streams(Stage(cloud))
    made.connect("ann", "bob")
    return made
