"""Every role of the deployed functions, tried out: it may do what its function's code does, and nothing else.

The emulator checks signatures and policies here (AUTH=true), as AWS does. Each call is signed with a role's own
credentials and is harmless where it is allowed: it names what isn't there, or asks for what can't be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

NOBODY = {"orderId": {"S": "nobody's"}, "item": {"S": "order"}}
DENIED = {"AccessDenied", "AccessDeniedException"}
ONCE = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


@dataclass(frozen=True, slots=True)
class Place:
    """What there is to be touched; `client` makes boto3's clients with one role's credentials."""

    client: Callable[[str], Any]
    names: dict[str, str]
    own_logs: str

    def orders(self, **call: Any) -> dict[str, Any]:
        return {"TableName": self.names["OrdersTable"], **call}

    def post(self, method: str) -> Any:
        gateway = self.client("apigatewaymanagementapi")
        return getattr(gateway, method)(ConnectionId="nobody")


def _put(place: Place, table: str, key: dict[str, Any]) -> Any:
    condition = "attribute_exists(#never)"
    names = {"#never": "isThereNever"}
    return place.client("dynamodb").put_item(
        TableName=place.names[table], Item=key, ConditionExpression=condition, ExpressionAttributeNames=names
    )


def _update(place: Place, table: str, key: dict[str, Any]) -> Any:
    return place.client("dynamodb").update_item(
        TableName=place.names[table],
        Key=key,
        UpdateExpression="SET a = :a",
        ConditionExpression="attribute_exists(isThereNever)",
        ExpressionAttributeValues={":a": {"N": "1"}},
    )


def _query(place: Place, index: str, key: str) -> Any:
    return place.client("dynamodb").query(
        **place.orders(
            IndexName=index, KeyConditionExpression=f"{key} = :k", ExpressionAttributeValues={":k": {"S": "nobody"}}
        )
    )


def _log(place: Place, group: str) -> Any:
    return place.client("logs").create_log_stream(logGroupName=group, logStreamName="role-test")


def _queue(place: Place, method: str, queue: str, **call: Any) -> Any:
    return getattr(place.client("sqs"), method)(QueueUrl=place.names[queue], **call)


TRIALS: dict[str, Callable[[Place], Any]] = {
    "orders: read one": lambda p: p.client("dynamodb").get_item(**p.orders(Key=NOBODY)),
    "orders: write one": lambda p: _put(p, "OrdersTable", NOBODY),
    "orders: change one": lambda p: _update(p, "OrdersTable", NOBODY),
    "orders: delete one": lambda p: p.client("dynamodb").delete_item(**p.orders(Key=NOBODY)),
    "orders: who watches one": lambda p: p.client("dynamodb").query(
        **p.orders(KeyConditionExpression="orderId = :o", ExpressionAttributeValues={":o": {"S": "nobody"}})
    ),
    "orders: an account's": lambda p: _query(p, "byAccount", "account"),
    "orders: a connection's": lambda p: _query(p, "byConnection", "connectionId"),
    "orders: the overdue": lambda p: _query(p, "byDue", "openShard"),
    "orders: every subscription": lambda p: p.client("dynamodb").scan(**p.orders(IndexName="byConnection", Limit=1)),
    "orders: all": lambda p: p.client("dynamodb").scan(**p.orders(Limit=1)),
    "orders: drop the table": lambda p: p.client("dynamodb").delete_table(TableName="nobodys-table"),
    "pools: all": lambda p: p.client("dynamodb").scan(TableName=p.names["PoolsTable"], Limit=1),
    "pools: add one": lambda p: _put(p, "PoolsTable", {"address": {"S": "x"}}),
    "control: read": lambda p: p.client("dynamodb").get_item(
        TableName=p.names["ControlTable"], Key={"name": {"S": "nobody"}}
    ),
    "control: change": lambda p: _update(p, "ControlTable", {"name": {"S": "nobody"}}),
    "control: put": lambda p: _put(p, "ControlTable", {"name": {"S": "nobody"}}),
    "control: delete": lambda p: p.client("dynamodb").delete_item(
        TableName=p.names["ControlTable"], Key={"name": {"S": "nobody"}}
    ),
    "control: all": lambda p: p.client("dynamodb").scan(TableName=p.names["ControlTable"], Limit=1),
    "api keys: read one": lambda p: p.client("dynamodb").get_item(
        TableName=p.names["AccessTable"], Key={"name": {"S": "nobody"}}
    ),
    "api keys: count a use": lambda p: _update(p, "AccessTable", {"name": {"S": "nobody"}}),
    "api keys: find one": lambda p: p.client("dynamodb").query(
        TableName=p.names["AccessTable"],
        IndexName="byKeyId",
        KeyConditionExpression="keyId = :k",
        ExpressionAttributeValues={":k": {"S": "nobody"}},
    ),
    "api keys: add one": lambda p: _put(p, "AccessTable", {"name": {"S": "nobody"}}),
    "api keys: delete one": lambda p: p.client("dynamodb").delete_item(
        TableName=p.names["AccessTable"], Key={"name": {"S": "nobody"}}
    ),
    "api keys: all": lambda p: p.client("dynamodb").scan(TableName=p.names["AccessTable"], Limit=1),
    "sessions: read one": lambda p: p.client("dynamodb").get_item(
        TableName=p.names["ConnectionsTable"], Key={"name": {"S": "nobody"}}
    ),
    "sessions: open": lambda p: _put(p, "ConnectionsTable", {"name": {"S": "nobody"}}),
    "sessions: hear": lambda p: _update(p, "ConnectionsTable", {"name": {"S": "nobody"}}),
    "sessions: close": lambda p: p.client("dynamodb").delete_item(
        TableName=p.names["ConnectionsTable"], Key={"name": {"S": "nobody"}}
    ),
    "sessions: all": lambda p: p.client("dynamodb").scan(TableName=p.names["ConnectionsTable"], Limit=1),
    "ticket secret: read": lambda p: p.client("secretsmanager").get_secret_value(SecretId=p.names["TicketSecretArn"]),
    "ticket secret: replace": lambda p: p.client("secretsmanager").put_secret_value(
        SecretId=p.names["TicketSecretArn"], SecretString="x" * 64
    ),
    "queue: send": lambda p: _queue(p, "send_message", "OrdersQueueUrl", MessageBody="{}", DelaySeconds=99_999),
    "queue: receive": lambda p: _queue(p, "receive_message", "OrdersQueueUrl", VisibilityTimeout=0, WaitTimeSeconds=0),
    "queue: delete": lambda p: _queue(p, "delete_message", "OrdersQueueUrl", ReceiptHandle="none"),
    "queue: hide": lambda p: _queue(
        p, "change_message_visibility", "OrdersQueueUrl", ReceiptHandle="none", VisibilityTimeout=0
    ),
    "queue: length": lambda p: _queue(p, "get_queue_attributes", "OrdersQueueUrl", AttributeNames=["All"]),
    "queue: purge": lambda p: _queue(p, "purge_queue", "OrdersQueueUrl"),
    "dead letters: send": lambda p: _queue(
        p, "send_message", "DeadLetterQueueUrl", MessageBody="{}", DelaySeconds=99_999
    ),
    "dead letters: receive": lambda p: _queue(
        p, "receive_message", "DeadLetterQueueUrl", VisibilityTimeout=0, WaitTimeSeconds=0
    ),
    "dead letters: delete": lambda p: _queue(p, "delete_message", "DeadLetterQueueUrl", ReceiptHandle="none"),
    "dead letters: hide": lambda p: _queue(
        p, "change_message_visibility", "DeadLetterQueueUrl", ReceiptHandle="none", VisibilityTimeout=0
    ),
    "connections: post": lambda p: p.client("apigatewaymanagementapi").post_to_connection(
        ConnectionId="nobody", Data=b"{}"
    ),
    "connections: close": lambda p: p.post("delete_connection"),
    "connections: look": lambda p: p.post("get_connection"),
    "logs: another's": lambda p: _log(p, f"/fillrate/{p.names['stage']}/nobodys"),
    "logs: read": lambda p: p.client("logs").filter_log_events(logGroupName=p.own_logs),
    "logs: make a group": lambda p: p.client("logs").create_log_group(logGroupName="/fillrate/nobodys"),
    "keys: sign with any": lambda p: p.client("kms").sign(
        KeyId="alias/nobodys", Message=b"x", MessageType="RAW", SigningAlgorithm="ED25519_SHA_512"
    ),
    "secrets: read any": lambda p: p.client("secretsmanager").get_secret_value(SecretId="nobodys"),
    "code: read": lambda p: p.client("s3").list_objects_v2(Bucket=p.names["bucket"]),
    "code: replace": lambda p: p.client("s3").put_object(Bucket=p.names["bucket"], Key="x.zip", Body=b"x"),
    "functions: call": lambda p: p.client("lambda").invoke(FunctionName=p.names["WorkerFunction"], Payload=b"{}"),
    "functions: change": lambda p: p.client("lambda").update_function_configuration(
        FunctionName=p.names["WorkerFunction"], Environment={"Variables": {}}
    ),
    "roles: take on another": lambda p: p.client("sts").assume_role(
        RoleArn="arn:aws:iam::000000000000:role/another", RoleSessionName="trial"
    ),
    "roles: widen": lambda p: p.client("iam").put_role_policy(
        RoleName="another", PolicyName="x", PolicyDocument='{"Version": "2012-10-17", "Statement": []}'
    ),
}

# By the name of its function in the template: what each may do. All else in TRIALS it may not.
MAY: dict[str, set[str]] = {
    "APIHandler": {
        "orders: read one",
        "orders: write one",
        "orders: an account's",
        "pools: all",
        "control: read",
        "control: change",
        "queue: send",
        "queue: length",
        "api keys: count a use",
        "ticket secret: read",
    },
    "Authorize": {"api keys: read one"},
    "ExecuteOrder": {
        "orders: read one",
        "orders: write one",
        "pools: all",
        "control: read",
        "control: change",
        "queue: receive",
        "queue: delete",
        "queue: hide",
        "queue: length",
        "dead letters: send",
    },
    "PushChanges": {
        "orders: read one",
        "orders: change one",
        "orders: delete one",
        "orders: who watches one",
        "orders: a connection's",
        "connections: post",
        "connections: close",
    },
    "Sweep": {
        "orders: read one",
        "orders: change one",
        "orders: delete one",
        "orders: the overdue",
        "orders: every subscription",
        "orders: a connection's",
        "sessions: all",
        "sessions: close",
        "connections: close",
        "api keys: read one",
        "api keys: find one",
        "control: read",
        "queue: send",
        "dead letters: receive",
        "dead letters: delete",
        "dead letters: hide",
    },
    "WebsocketConnect": {
        "orders: read one",
        "orders: write one",
        "sessions: open",
        "ticket secret: read",
        "api keys: read one",
        "api keys: find one",
    },
    "WebsocketMessage": {
        "orders: read one",
        "orders: write one",
        "orders: delete one",
        "orders: a connection's",
        "connections: post",
        "connections: close",
        "sessions: hear",
        "sessions: close",
    },
    "WebsocketDisconnect": {"orders: delete one", "orders: a connection's", "sessions: close"},
}


class Account:
    """The emulated AWS account: root's view of it, and what a role can reach."""

    def __init__(self, stack: dict[str, str]) -> None:
        self._endpoint = stack["awsEndpoint"]
        self._websocket = stack["wsUrl"].replace("ws://", "http://")
        self.root = boto3.Session("test", "test", region_name="us-east-1")
        self.stage = stack["stage"]
        self.functions = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in self._described("AWS::Lambda::Function")
        }
        outputs: dict[str, str] = {}
        cloudformation = self.client(self.root, "cloudformation")
        for name in (f"fillrate-{self.stage}-data", f"fillrate-{self.stage}"):
            (described,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
            outputs |= {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        bucket = f"fillrate-{self.stage}-artifacts-000000000000-us-east-1"
        self.names = outputs | {"stage": self.stage, "bucket": bucket}

    def client(self, session: boto3.Session, service: str) -> Any:
        endpoint = self._websocket if service == "apigatewaymanagementapi" else self._endpoint
        return session.client(service, endpoint_url=endpoint, config=ONCE)  # type: ignore[call-overload]

    def assume(self, function: str) -> dict[str, str]:
        """Credentials of the role of `function` (its name in the template)."""
        role = self._configuration(function)["Role"]
        assumed = self.client(self.root, "sts").assume_role(RoleArn=role, RoleSessionName="trial")
        credentials: dict[str, str] = assumed["Credentials"]
        return credentials

    def place_of(self, function: str) -> Place:
        """What `function` reaches, by its own role."""
        session = session_of(self.assume(function))
        logs = self._configuration(function)["LoggingConfig"]["LogGroup"]
        return Place(cache(lambda service: self.client(session, service)), self.names, logs)

    def _configuration(self, function: str) -> dict[str, Any]:
        client = self.client(self.root, "lambda")
        configuration: dict[str, Any] = client.get_function_configuration(FunctionName=self.functions[function])
        return configuration

    def _described(self, kind: str) -> list[dict[str, Any]]:
        paginator = self.client(self.root, "cloudformation").get_paginator("list_stack_resources")
        pages = paginator.paginate(StackName=f"fillrate-{self.stage}")
        return [
            resource
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == kind
        ]


def session_of(keys: dict[str, str]) -> boto3.Session:
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1")


@pytest.fixture(scope="module")
def account(secured_stack: dict[str, str]) -> Account:
    return Account(secured_stack)


def is_allowed(trial: Callable[[Place], Any], place: Place) -> bool:
    """Whether the call gets past the policies; what it then comes to doesn't matter."""
    try:
        trial(place)
    except ClientError as error:
        return error.response["Error"]["Code"] not in DENIED
    return True


def test_every_deployed_function_is_tried(account: Account) -> None:
    assert account.functions.keys() == MAY.keys()


@pytest.mark.parametrize("function", list(MAY))
def test_a_function_may_do_what_its_code_does_and_nothing_else(account: Account, function: str) -> None:
    place = account.place_of(function)
    allowed = {name for name, trial in TRIALS.items() if is_allowed(trial, place)}
    assert allowed == MAY[function]


def test_a_roles_key_without_its_secret_is_refused(account: Account) -> None:
    keys = account.assume("Sweep")
    read = account.names["OrdersTable"]
    assert "Item" not in account.client(session_of(keys), "dynamodb").get_item(TableName=read, Key=NOBODY)
    forged = session_of(keys | {"SecretAccessKey": "guessed"})
    with pytest.raises(ClientError, match="InvalidSignature"):
        account.client(forged, "dynamodb").get_item(TableName=read, Key=NOBODY)


def test_an_unknown_key_is_nobody(account: Account) -> None:
    stranger = boto3.Session("AKIAIOSFODNN7EXAMPLE", "any", region_name="us-east-1")
    with pytest.raises(ClientError, match="security token"):
        account.client(stranger, "dynamodb").list_tables()
