"""Every role of the deployed functions, tried out: it may do what its function's code does, and nothing else.

The emulator checks signatures and policies here (AUTH=true), as AWS does. Each call is signed with a role's own
credentials and is harmless where it is allowed: it names what isn't there, or asks for what can't be.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib.access.keys import Scope, digest_of, new_secret
from operations import keys
from operations.target import target_of
from testing.client import Client
from testing.emulator import root_session

Tried = TypeVar("Tried")
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
    "orders: an account's": lambda p: _query(p, "byPlaced", "account"),
    "orders: how an account's stand": lambda p: _query(p, "byStanding", "account"),
    "orders: read many": lambda p: p.client("dynamodb").batch_get_item(
        RequestItems={p.names["OrdersTable"]: {"Keys": [NOBODY]}}
    ),
    "orders: a connection's": lambda p: _query(p, "byConnection", "connectionId"),
    "orders: the overdue": lambda p: _query(p, "byDue", "openShard"),
    "orders: those that wait": lambda p: _query(p, "byPair", "waitingPair"),
    "orders: every subscription": lambda p: p.client("dynamodb").scan(**p.orders(IndexName="byConnection", Limit=1)),
    "orders: all": lambda p: p.client("dynamodb").scan(**p.orders(Limit=1)),
    "orders: drop the table": lambda p: p.client("dynamodb").delete_table(TableName="nobodys-table"),
    "pools: all": lambda p: p.client("dynamodb").scan(TableName=p.names["PoolsTable"], Limit=1),
    "pools: add one": lambda p: _put(p, "PoolsTable", {"address": {"S": "x"}}),
    "proposals: all": lambda p: p.client("dynamodb").scan(TableName=p.names["ProposalsTable"], Limit=1),
    "proposals: read one": lambda p: p.client("dynamodb").get_item(
        TableName=p.names["ProposalsTable"], Key={"address": {"S": "nobody"}}
    ),
    "record: read": lambda p: p.client("dynamodb").scan(TableName=p.names["AuditTable"], Limit=1),
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
    "api keys: count a use": lambda p: _update(p, "MeterTable", {"name": {"S": "nobody"}}),
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
    "sessions: read several": lambda p: p.client("dynamodb").batch_get_item(
        RequestItems={p.names["ConnectionsTable"]: {"Keys": [{"name": {"S": "nobody"}}]}}
    ),
    "sessions: open": lambda p: _put(p, "ConnectionsTable", {"name": {"S": "nobody"}}),
    "sessions: hear": lambda p: _update(p, "ConnectionsTable", {"name": {"S": "nobody"}}),
    "sessions: close": lambda p: p.client("dynamodb").delete_item(
        TableName=p.names["ConnectionsTable"], Key={"name": {"S": "nobody"}}
    ),
    "sessions: all": lambda p: p.client("dynamodb").scan(TableName=p.names["ConnectionsTable"], Limit=1),
    "ticket secret: read": lambda p: p.client("secretsmanager").get_secret_value(SecretId=p.names["TicketSecretArn"]),
    "node's url: read": lambda p: p.client("secretsmanager").get_secret_value(SecretId=p.names["SolanaRpcSecretArn"]),
    "node's url: replace": lambda p: p.client("secretsmanager").put_secret_value(
        SecretId=p.names["SolanaRpcSecretArn"], SecretString="https://127.0.0.1:1"
    ),
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
    "circulations: read one": lambda p: p.client("dynamodb").get_item(
        TableName=p.names["CirculationsTable"], Key={"pair": {"S": "nobody"}}
    ),
    "circulations: move": lambda p: _update(p, "CirculationsTable", {"pair": {"S": "nobody"}}),
    "circulations: put": lambda p: _put(p, "CirculationsTable", {"pair": {"S": "nobody"}}),
    "circulations: end": lambda p: p.client("dynamodb").delete_item(
        TableName=p.names["CirculationsTable"], Key={"pair": {"S": "nobody"}}
    ),
    "circulations: all": lambda p: p.client("dynamodb").scan(TableName=p.names["CirculationsTable"], Limit=1),
    "streams: a pair's": lambda p: p.client("dynamodb").query(
        TableName=p.names["QuoteStreamsTable"],
        KeyConditionExpression="#p = :p",
        ExpressionAttributeNames={"#p": "pair"},
        ExpressionAttributeValues={":p": {"S": "nobody"}},
    ),
    "streams: read several": lambda p: p.client("dynamodb").batch_get_item(
        RequestItems={p.names["QuoteStreamsTable"]: {"Keys": [{"pair": {"S": "nobody"}, "stream": {"S": "x"}}]}}
    ),
    "streams: all": lambda p: p.client("dynamodb").scan(TableName=p.names["QuoteStreamsTable"], Limit=1),
    "watch queue: send": lambda p: _queue(p, "send_message", "WatchQueueUrl", MessageBody="{}", DelaySeconds=99_999),
    "watch queue: receive": lambda p: _queue(
        p, "receive_message", "WatchQueueUrl", VisibilityTimeout=0, WaitTimeSeconds=0
    ),
    "watch queue: delete": lambda p: _queue(p, "delete_message", "WatchQueueUrl", ReceiptHandle="none"),
    "watch queue: hide": lambda p: _queue(
        p, "change_message_visibility", "WatchQueueUrl", ReceiptHandle="none", VisibilityTimeout=0
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
        "orders: how an account's stand",
        "orders: read many",
        "orders: the overdue",
        "pools: all",
        "proposals: all",
        "control: read",
        "control: change",
        "queue: send",
        "queue: length",
        "api keys: read one",
        "api keys: count a use",
        "sessions: read one",
        "ticket secret: read",
        "node's url: read",
        "circulations: read one",
        "circulations: move",
        "circulations: all",
        "watch queue: send",
    },
    "Authorize": {"api keys: read one"},
    "ExecuteOrder": {
        "orders: read one",
        "orders: write one",
        "pools: all",
        "proposals: all",
        "control: read",
        "control: change",
        "queue: send",
        "queue: receive",
        "queue: delete",
        "queue: hide",
        "queue: length",
        "dead letters: send",
        "node's url: read",
        "api keys: read one",
        "api keys: find one",
        "circulations: read one",
        "circulations: move",
        "watch queue: send",
    },
    "WatchPairs": {
        "orders: read one",
        "orders: write one",
        "orders: read many",
        "orders: those that wait",
        "pools: all",
        "proposals: all",
        "control: read",
        "control: change",
        "queue: send",
        "node's url: read",
        "circulations: read one",
        "circulations: move",
        "circulations: end",
        "watch queue: send",
        "watch queue: receive",
        "watch queue: delete",
        "watch queue: hide",
        "streams: a pair's",
        "sessions: hear",
        "sessions: close",
        "connections: post",
        "connections: close",
    },
    "PushChanges": {
        "orders: change one",
        "orders: delete one",
        "orders: who watches one",
        "sessions: read several",
        "sessions: close",
        "connections: post",
        "connections: close",
    },
    "Sweep": {
        "orders: read one",
        "orders: write one",
        "orders: change one",
        "orders: delete one",
        "orders: the overdue",
        "orders: every subscription",
        "orders: a connection's",
        "sessions: all",
        "sessions: hear",
        "sessions: close",
        "connections: look",
        "connections: close",
        "api keys: read one",
        "api keys: find one",
        "control: read",
        "queue: send",
        "dead letters: receive",
        "dead letters: delete",
        "dead letters: hide",
        "circulations: all",
        "watch queue: send",
        "streams: all",
    },
    "DiscoverPools": {
        "pools: all",
        "proposals: all",
        "proposals: read one",
        "control: read",
        "control: change",
        "node's url: read",
    },
    "WebsocketConnect": {
        "orders: read one",
        "orders: write one",
        "sessions: open",
        "sessions: hear",
        "sessions: close",
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
        "sessions: read one",
        "sessions: hear",
        "sessions: close",
        "pools: all",
        "proposals: all",
        "control: read",
        "control: change",
        "node's url: read",
        "streams: read several",
        "circulations: read one",
        "circulations: move",
        "watch queue: send",
    },
    "WebsocketDisconnect": {"orders: delete one", "orders: a connection's", "sessions: hear", "sessions: close"},
}

# What each may write, by table: every other write, of any verb and of any table that is deployed, is refused.
MAY_WRITE: dict[str, dict[str, set[str]]] = {
    "APIHandler": {
        "OrdersTable": {"PutItem"},
        "LineTable": {"PutItem", "DeleteItem"},
        "ControlTable": {"UpdateItem"},
        "CirculationsTable": {"UpdateItem"},
        "MeterTable": {"UpdateItem"},
    },
    "ExecuteOrder": {
        "OrdersTable": {"PutItem"},
        "LineTable": {"PutItem", "DeleteItem"},
        "ControlTable": {"UpdateItem"},
        "CirculationsTable": {"UpdateItem"},
    },
    "WatchPairs": {
        "OrdersTable": {"PutItem"},
        "ControlTable": {"UpdateItem"},
        "CirculationsTable": {"UpdateItem", "DeleteItem"},
        "QuoteStreamsTable": {"DeleteItem"},
        "ConnectionsTable": {"UpdateItem", "DeleteItem"},
    },
    "PushChanges": {"OrdersTable": {"UpdateItem", "DeleteItem"}, "ConnectionsTable": {"DeleteItem"}},
    "Sweep": {
        "OrdersTable": {"PutItem", "UpdateItem", "DeleteItem"},
        "LineTable": {"UpdateItem"},
        "ConnectionsTable": {"UpdateItem", "DeleteItem"},
        "QuoteStreamsTable": {"DeleteItem"},
    },
    # Of the record its own kind of entries, of the control table its pace: tests/unit/test_roles_in_template.py.
    "DiscoverPools": {
        "ProposalsTable": {"PutItem", "DeleteItem"},
        "AuditTable": {"PutItem"},
        "ControlTable": {"UpdateItem"},
    },
    "WebsocketConnect": {
        "OrdersTable": {"PutItem"},
        "ConnectionsTable": {"PutItem", "UpdateItem", "DeleteItem"},
    },
    "WebsocketMessage": {
        "OrdersTable": {"PutItem", "DeleteItem"},
        "ConnectionsTable": {"UpdateItem", "DeleteItem"},
        "QuoteStreamsTable": {"PutItem", "DeleteItem"},
        "CirculationsTable": {"UpdateItem"},
        "ControlTable": {"UpdateItem"},
    },
    "WebsocketDisconnect": {
        "OrdersTable": {"DeleteItem"},
        "ConnectionsTable": {"UpdateItem", "DeleteItem"},
        "QuoteStreamsTable": {"DeleteItem"},
    },
}
NEVER: dict[str, Any] = {
    "ConditionExpression": "attribute_exists(#never)",
    "ExpressionAttributeNames": {"#never": "isThereNever"},
}
SETTING: dict[str, Any] = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"N": "1"}}}


@dataclass(frozen=True, slots=True)
class Write:
    """A way to write an item of `table`, whose key is `key`; nothing is written where it is allowed."""

    dynamodb: Any
    table: str
    key: dict[str, Any]

    def transact(self, verb: str, **write: Any) -> Any:
        action = {verb: {"TableName": self.table, **write, **NEVER}}
        return self.dynamodb.transact_write_items(TransactItems=[action])

    def batch(self, verb: str, **write: Any) -> Any:
        return self.dynamodb.batch_write_item(RequestItems={self.table: [{verb: write}]})

    def statement(self, text: str) -> Any:
        return self.dynamodb.execute_statement(Statement=text.format(table=self.table, where=self._where()))

    def insert(self) -> str:
        fields = ", ".join(f"'{name}': 'nobody'" for name in self.key)
        return f'INSERT INTO "{self.table}" VALUE {{{{{fields}}}}}'

    def _where(self) -> str:
        return " AND ".join(f"{name} = 'nobody'" for name in self.key)


# Each way to write, with the action that AWS asks the policy for.
WRITES: dict[str, tuple[str, Callable[[Write], Any]]] = {
    "put": ("PutItem", lambda w: w.dynamodb.put_item(TableName=w.table, Item=w.key, **NEVER)),
    "update": ("UpdateItem", lambda w: w.dynamodb.update_item(TableName=w.table, Key=w.key, **SETTING | NEVER)),
    "delete": ("DeleteItem", lambda w: w.dynamodb.delete_item(TableName=w.table, Key=w.key, **NEVER)),
    "put in a transaction": ("PutItem", lambda w: w.transact("Put", Item=w.key)),
    "update in a transaction": ("UpdateItem", lambda w: w.transact("Update", Key=w.key, **SETTING)),
    "delete in a transaction": ("DeleteItem", lambda w: w.transact("Delete", Key=w.key)),
    "put in a batch": ("BatchWriteItem", lambda w: w.batch("PutRequest", Item=w.key)),
    "delete in a batch": ("BatchWriteItem", lambda w: w.batch("DeleteRequest", Key=w.key)),
    "insert by a statement": ("PartiQLInsert", lambda w: w.statement(w.insert())),
    "update by a statement": ("PartiQLUpdate", lambda w: w.statement('UPDATE "{table}" SET a = 1 WHERE {where}')),
    "delete by a statement": ("PartiQLDelete", lambda w: w.statement('DELETE FROM "{table}" WHERE {where}')),
}


class Account:
    """The emulated AWS account: root's view of it, and what a role can reach."""

    def __init__(self, stack: dict[str, str]) -> None:
        self._endpoint = stack["awsEndpoint"]
        self._websocket = stack["wsUrl"].replace("ws://", "http://")
        self.root = root_session(stack)
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

    def role_of(self, function: str) -> str:
        """The ARN of the role of `function` (its name in the template)."""
        return str(self._configuration(function)["Role"])

    def assume(self, role: str) -> dict[str, str]:
        """Credentials of the role of this ARN."""
        assumed = self.client(self.root, "sts").assume_role(RoleArn=role, RoleSessionName="trial")
        credentials: dict[str, str] = assumed["Credentials"]
        return credentials

    def place_of(self, function: str) -> Place:
        """What `function` reaches, by its own role."""
        logs = self._configuration(function)["LoggingConfig"]["LogGroup"]
        return self.place_of_role(self.role_of(function), logs)

    def place_of_role(self, role: str, own_logs: str = "") -> Place:
        """What the role of this ARN reaches."""
        session = session_of(self.assume(role))
        return Place(cache(lambda service: self.client(session, service)), self.names, own_logs)

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


def is_allowed(trial: Callable[[Tried], Any], place: Tried) -> bool:
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


@pytest.mark.parametrize("function", list(MAY))
def test_a_function_writes_to_the_tables_that_are_its_own_and_by_no_other_verb(account: Account, function: str) -> None:
    as_root = account.client(account.root, "dynamodb")
    dynamodb = account.place_of(function).client("dynamodb")
    allowed, expected = set(), set()
    tables = [output for output in account.names if output.endswith("Table")]
    assert len(tables) >= 6
    for table in tables:
        schema = as_root.describe_table(TableName=account.names[table])["Table"]["KeySchema"]
        write = Write(dynamodb, account.names[table], {one["AttributeName"]: {"S": "nobody"} for one in schema})
        for verb, (action, trial) in WRITES.items():
            if is_allowed(trial, write):
                allowed.add((table, verb))
            if action in MAY_WRITE.get(function, {}).get(table, set()):
                expected.add((table, verb))
    assert allowed == expected


def test_the_apis_role_can_neither_forge_a_key_nor_bring_a_revoked_one_back(
    account: Account, secured_stack: dict[str, str]
) -> None:
    """An update writes an item that isn't there: whoever may count uses on the key's own item may make any key."""
    target = target_of(secured_stack, "prod", secured_stack["awsEndpoint"])
    administration = keys.administration(target)
    revoked = administration.create("alice", frozenset({Scope.TRADE}))
    administration.revoke(revoked.key.key_id)
    forged = new_secret(secrets.token_bytes)
    api = account.place_of("APIHandler").client("dynamodb")
    fields = {
        "keyId": {"S": "key_forged"},
        "account": {"S": "alice"},
        "scopes": {"L": [{"S": "admin"}]},
        "label": {"S": ""},
        "ratePerMinute": {"N": "1000"},
        "createdAtMs": {"N": "1"},
    }
    with suppress(ClientError):
        api.update_item(
            TableName=account.names["AccessTable"],
            Key={"name": {"S": f"key#{digest_of(forged)}"}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in fields),
            ExpressionAttributeNames={f"#{name}": name for name in fields},
            ExpressionAttributeValues={f":{name}": value for name, value in fields.items()},
        )
    with suppress(ClientError):
        api.update_item(
            TableName=account.names["AccessTable"],
            Key={"name": {"S": f"key#{revoked.key.digest}"}},
            UpdateExpression="REMOVE validUntilMs",
        )
    for key in (forged, revoked.secret):
        assert Client(secured_stack["restUrl"], key).call("GET", "/orders").status == 401


def test_where_the_node_is_shows_in_no_functions_settings_and_in_no_stacks_parameters(
    account: Account, secured_stack: dict[str, str]
) -> None:
    """Whoever may look at functions and stacks would read a provider's key there."""
    functions = account.client(account.root, "lambda").list_functions()["Functions"]
    stacks = account.client(account.root, "cloudformation").describe_stacks()["Stacks"]
    assert len(functions) >= len(MAY)
    assert [one["FunctionName"] for one in functions if secured_stack["rpcUrl"] in str(one)] == []
    assert [one["StackName"] for one in stacks if secured_stack["rpcUrl"] in str(one)] == []


def test_a_roles_key_without_its_secret_is_refused(account: Account) -> None:
    keys = account.assume(account.role_of("Sweep"))
    read = account.names["OrdersTable"]
    assert "Item" not in account.client(session_of(keys), "dynamodb").get_item(TableName=read, Key=NOBODY)
    forged = session_of(keys | {"SecretAccessKey": "guessed"})
    with pytest.raises(ClientError, match="InvalidSignature"):
        account.client(forged, "dynamodb").get_item(TableName=read, Key=NOBODY)


def test_an_unknown_key_is_nobody(account: Account) -> None:
    stranger = boto3.Session("AKIAIOSFODNN7EXAMPLE", "any", region_name="us-east-1")
    with pytest.raises(ClientError, match="security token"):
        account.client(stranger, "dynamodb").list_tables()
