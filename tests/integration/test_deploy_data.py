"""The data stack and the pool registry, deployed to moto as to AWS."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.aws.dynamodb.pool_table import PoolTable
from chalicelib.venues.registry import PoolEntry
from infra.deployment.cloudformation import StackError, deploy_stack
from infra.deployment.deploy import deploy_data, main
from infra.project import PROJECT
from operations import pool_registry
from operations.target import Target
from tests.integration import moto_secret as moto_secret  # lets moto make the template's secret

REGION = "eu-central-1"
PROD = ["--stage", "prod", "--solana-rpc-url", "https://rpc.example"]
CPMM, DLMM = "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C", "LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo"
POOL_1, POOL_2 = "8sLbNZoA1cfnvMJLPfp98ZLAnFSYCFApfJKMbiXNLwxj", "5rCf1DM8LjKTw4YqhnoLcngyZYeNnQqztScTogYHAS6"
SOL_USDC = {"address": POOL_1, "program": CPMM}
JUP_USDC = {"address": POOL_2, "program": DLMM}


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Target("prod", boto3.Session(region_name=REGION), REGION)


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "pools.json"


def pools(dynamodb: Any, table: str) -> dict[str, str]:
    items = dynamodb.scan(TableName=table)["Items"]
    return {item["address"]["S"]: item["program"]["S"] for item in items}


def test_an_order_is_received_often_enough_that_its_attempts_end_it_and_not_the_queue(target: Target) -> None:
    outputs = deploy_data(target)
    sqs = target.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=outputs["OrdersQueueUrl"], AttributeNames=["All"])["Attributes"]
    redrive = json.loads(attributes["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == outputs["DeadLetterQueueArn"]
    assert int(redrive["maxReceiveCount"]) >= 100
    worker_seconds = json.loads((PROJECT / ".chalice" / "config.json").read_text())["lambda_functions"]["execute_order"]
    assert int(attributes["VisibilityTimeout"]) >= 6 * worker_seconds["lambda_timeout"]


def test_expired_items_go_and_every_change_is_streamed(target: Target) -> None:
    outputs = deploy_data(target)
    dynamodb = target.client("dynamodb")
    table = dynamodb.describe_table(TableName=outputs["OrdersTable"])["Table"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["LatestStreamArn"] == outputs["OrdersStreamArn"]
    expiry = dynamodb.describe_time_to_live(TableName=outputs["OrdersTable"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}


def test_deploying_again_changes_nothing(target: Target) -> None:
    outputs = deploy_data(target)
    key = {"orderId": {"S": "1"}, "item": {"S": "order"}}
    target.client("dynamodb").put_item(TableName=outputs["OrdersTable"], Item=key)
    assert deploy_data(target) == outputs
    assert target.client("dynamodb").get_item(TableName=outputs["OrdersTable"], Key=key)["Item"] == key


def test_the_table_holds_exactly_the_pools_of_the_file_however_often_it_is_seeded(
    target: Target, registry: Path
) -> None:
    table, dynamodb = deploy_data(target)["PoolsTable"], target.client("dynamodb")
    registry.write_text(json.dumps([SOL_USDC, JUP_USDC]))
    for _ in range(2):
        assert pool_registry.seed(dynamodb, table, registry) == 2
        assert pools(dynamodb, table) == {POOL_1: CPMM, POOL_2: DLMM}
    registry.write_text(json.dumps([SOL_USDC | {"program": DLMM}]))
    pool_registry.seed(dynamodb, table, registry)
    assert pools(dynamodb, table) == {POOL_1: DLMM}


def test_a_pool_that_an_operator_added_outlives_a_deploy(target: Target, registry: Path) -> None:
    table, dynamodb = deploy_data(target)["PoolsTable"], target.client("dynamodb")
    by_hand = {"address": {"S": POOL_2}, "program": {"S": DLMM}, "addedBy": {"S": pool_registry.OPERATOR}}
    dynamodb.put_item(TableName=table, Item=by_hand)
    registry.write_text(json.dumps([SOL_USDC]))
    pool_registry.seed(dynamodb, table, registry)
    assert pools(dynamodb, table) == {POOL_1: CPMM, POOL_2: DLMM}


@pytest.mark.parametrize("text", ["", "{}x", '{"address": "a"}', "[1]", '[{"address": "a"}]'])
def test_a_registry_that_is_none_is_named(registry: Path, text: str) -> None:
    registry.write_text(text)
    with pytest.raises(pool_registry.RegistryError, match=r"pools\.json"):
        pool_registry.read(registry)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"address": POOL_1, "program": POOL_2}, "Fillrate trades on raydium"),
        ({"address": POOL_1, "program": ""}, "Fillrate trades on raydium"),
        ({"address": "pool1", "program": CPMM}, "is no address"),
        ({"address": POOL_1 + "x" * 40, "program": CPMM}, "is no address"),
    ],
)
def test_a_pool_of_a_program_that_is_not_ours_is_not_registered(
    registry: Path, entry: dict[str, str], fault: str
) -> None:
    registry.write_text(json.dumps([SOL_USDC, entry]))
    with pytest.raises(pool_registry.RegistryError, match=fault):
        pool_registry.read(registry)


def test_a_line_of_the_table_that_lacks_a_name_takes_no_other_down_with_it(target: Target, registry: Path) -> None:
    table, dynamodb = deploy_data(target)["PoolsTable"], target.client("dynamodb")
    registry.write_text(json.dumps([JUP_USDC, SOL_USDC]))
    pool_registry.seed(dynamodb, table, registry)
    dynamodb.put_item(TableName=table, Item={"address": {"S": "pool3"}})
    dynamodb.put_item(TableName=table, Item={"address": {"S": "pool4"}, "program": {"N": "4"}})
    assert PoolTable(dynamodb, table).entries() == [PoolEntry(POOL_2, DLMM), PoolEntry(POOL_1, CPMM)]


def test_a_missing_registry_is_named(registry: Path) -> None:
    with pytest.raises(pool_registry.RegistryError, match=r"pools\.json.*No such file"):
        pool_registry.read(registry)


def test_a_stack_that_fails_says_which_resource_and_why() -> None:
    client = FailingCloudFormation()
    with pytest.raises(StackError, match=r"Queue \(AWS::SQS::Queue\): name taken") as raised:
        deploy_stack(client, "fillrate-prod", "{}", {}, poll_seconds=0)
    assert "earlier" not in str(raised.value)
    assert client.deleted, "a stack that never came to be is in the way of a new one"


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["--stage", "prod"], "SOLANA_RPC_URL"),
        (["--stage", "local"], "give --wallet"),
        (["--stage", "local", "--wallet", "file:w.json", "--endpoint-url", "http://127.0.0.1:9"], "127.0.0.1:9"),
        ([*PROD, "--wallet", "file:w.json"], "stage prod takes no wallet from a file"),
        ([*PROD, "--wallet", "ledger:0"], "kms:<key id, ARN or alias>"),
        (PROD, "give --wallet"),
    ],
)
def test_a_deploy_that_cannot_be_says_what_is_missing(
    arguments: list[str], missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("SOLANA_RPC_URL", "AWS_ENDPOINT_URL", "WALLET"):
        monkeypatch.delenv(name, raising=False)
    assert main(arguments) == 1
    complaint = capsys.readouterr().err
    assert missing in complaint
    assert "Traceback" not in complaint


class FailingCloudFormation:
    """A stack that was rolled back before, and is again."""

    def __init__(self) -> None:
        self.deleted = False
        self._status: str | None = "ROLLBACK_COMPLETE"

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        gone = {"StackStatus": "DELETE_COMPLETE"}
        return {"Stacks": [{"StackStatus": self._status, "StackId": StackName} if self._status else gone]}

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        self.deleted, self._status = True, None

    def create_stack(self, **_: Any) -> None:
        self._status = "ROLLBACK_COMPLETE"

    def describe_stack_events(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        def event(kind: str, status: str, reason: str) -> dict[str, str]:
            return {
                "LogicalResourceId": kind.rpartition(":")[2],
                "ResourceType": kind,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }

        return {
            "StackEvents": [
                event("AWS::SQS::Queue", "CREATE_FAILED", "name taken"),
                event("AWS::CloudFormation::Stack", "CREATE_IN_PROGRESS", ""),
                event("AWS::SQS::Queue", "CREATE_FAILED", "of an earlier deploy"),
            ]
        }
