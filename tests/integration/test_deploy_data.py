"""The data stack and the pool registry, deployed to moto as to AWS."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from chalice.package import YAMLTemplateSerializer
from moto import mock_aws

from chalicelib.aws.dynamodb.attribute_values import serialize
from chalicelib.aws.dynamodb.order_item import order_to_item
from chalicelib.aws.dynamodb.pool_table import PoolTable
from chalicelib.orders.order import Order
from chalicelib.venues.registry import PoolEntry
from infra.deployment import deploy
from infra.deployment.cloudformation import StackError, await_indexes, deploy_new_indexes, deploy_stack, parse
from infra.deployment.deploy import (
    DeployError,
    DeploymentSettings,
    command_line,
    deploy_data,
    drop_indexes,
    former_indexes_go,
    main,
    nodes_of,
    pack_orders,
    secret_nodes,
    settings_from,
)
from infra.deployment.new_indexes import templates_between, templates_without, with_former_indexes
from infra.deployment.wallet import WalletError
from infra.project import PROJECT
from operations import pool_registry
from operations.errors import NoStage
from operations.stacks import deployed
from operations.target import Stage, Target
from tests.integration import moto_secret as moto_secret  # lets moto make the template's secret
from tests.sample_orders import new_order

REGION = "eu-central-1"
ELSEWHERE, CHAIN = "http://127.0.0.1:9", "http://127.0.0.1:1"
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


def test_a_stack_of_before_gets_its_new_indexes_one_an_update_as_dynamodb_wants_it(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = parse((PROJECT / "infra" / "deployment" / "data.yaml").read_text())
    table = template["Resources"]["OrdersTable"]["Properties"]
    wanted = [index["IndexName"] for index in table["GlobalSecondaryIndexes"]]
    table["GlobalSecondaryIndexes"] = table["GlobalSecondaryIndexes"][:2]
    of_keys = {key["AttributeName"] for index in table["GlobalSecondaryIndexes"] for key in index["KeySchema"]}
    of_keys |= {key["AttributeName"] for key in table["KeySchema"]}
    table["AttributeDefinitions"] = [each for each in table["AttributeDefinitions"] if each["AttributeName"] in of_keys]
    client = target.client("cloudformation")
    named = {"Stage": "prod", "Transport": "https", "WalletKey": "none", "WorkerRole": "", "SolanaRpcUrl": ""}
    deploy_stack(client, target.stack("data"), json.dumps(template), named, poll_seconds=0)

    indexes: list[list[str]] = []

    def update(**arguments: Any) -> None:
        updated = parse(arguments["TemplateBody"])["Resources"]["OrdersTable"]["Properties"]
        indexes.append([index["IndexName"] for index in updated["GlobalSecondaryIndexes"]])
        defined = {each["AttributeName"] for each in updated["AttributeDefinitions"]}
        keys = [
            *updated["KeySchema"],
            *(key for each in updated["GlobalSecondaryIndexes"] for key in each["KeySchema"]),
        ]
        assert defined == {key["AttributeName"] for key in keys}, "DynamoDB refuses an attribute that no key has"

    monkeypatch.setattr(client, "update_stack", update)
    wanted_text = (PROJECT / "infra" / "deployment" / "data.yaml").read_text()
    rest = deploy_new_indexes(client, target.client("dynamodb"), target.stack("data"), wanted_text, poll_seconds=0)
    assert rest == wanted_text, "no index of before is lacking in it"
    assert len(wanted) > 4
    assert [len(each) for each in indexes] == list(range(3, len(wanted)))
    assert set(indexes[-1]) < set(wanted)


def of_before() -> dict[str, Any]:
    """The data stack's template of before orders were listed by byPlaced: byAccount held each whole."""
    template = parse((PROJECT / "infra" / "deployment" / "data.yaml").read_text())
    indexes = template["Resources"]["OrdersTable"]["Properties"]["GlobalSecondaryIndexes"]
    (listing,) = (index for index in indexes if index["IndexName"] == "byPlaced")
    listing |= {"IndexName": "byAccount", "Projection": {"ProjectionType": "ALL"}}
    return template


class Updates:
    """CloudFormation's updates of the orders table, for moto can't: as DynamoDB takes them, and no others."""

    def __init__(self, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table = deployed(target, "data")["OrdersTable"]
        self.changes: list[str] = []
        self._dynamodb = target.client("dynamodb")
        client = target.client("cloudformation")
        self._template: Any = client.get_template(StackName=target.stack("data"))["TemplateBody"]
        monkeypatch.setattr(client, "update_stack", self._update)
        monkeypatch.setattr(client, "get_template", lambda **_: {"TemplateBody": self._template})
        session = target.session.client
        monkeypatch.setattr(
            target.session, "client", lambda name, **more: client if name == "cloudformation" else session(name, **more)
        )

    @property
    def indexes(self) -> set[str]:
        described = self._dynamodb.describe_table(TableName=self.table)["Table"]
        return {index["IndexName"] for index in described["GlobalSecondaryIndexes"]}

    def listed(self, index: str) -> list[str]:
        """The ids of the account's orders by an index."""
        found = self._dynamodb.query(
            TableName=self.table,
            IndexName=index,
            KeyConditionExpression="account = :account",
            ExpressionAttributeValues={":account": {"S": "local"}},
        )
        return [item["orderId"]["S"] for item in found["Items"]]

    def store(self, order: Order) -> None:
        self._dynamodb.put_item(TableName=self.table, Item=serialize(order_to_item(order)))

    def _update(self, **arguments: Any) -> None:
        template = arguments["TemplateBody"]
        properties = parse(template)["Resources"]["OrdersTable"]["Properties"]
        wanted = {index["IndexName"]: index for index in properties["GlobalSecondaryIndexes"]}
        made, dropped = wanted.keys() - self.indexes, self.indexes - wanted.keys()
        assert len(made | dropped) <= 1, "DynamoDB makes or drops one index an update"
        actions: list[Any] = [{"Create": wanted[name]} for name in made]
        actions += [{"Delete": {"IndexName": name}} for name in dropped]
        if actions:
            definitions = properties["AttributeDefinitions"]
            self._dynamodb.update_table(
                TableName=self.table, AttributeDefinitions=definitions, GlobalSecondaryIndexUpdates=actions
            )
        self.changes += [*(f"made {name}" for name in made), *(f"dropped {name}" for name in dropped)]
        self._template = template


def test_an_index_that_takes_anothers_place_is_made_before_the_functions_and_the_other_goes_with_the_next_deploy(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So no function asks for an index that isn't there, and the commit before can still be returned to."""
    named = {"Stage": "prod", "Transport": "https", "WalletKey": "none", "WorkerRole": "", "SolanaRpcUrl": ""}
    client = target.client("cloudformation")
    deploy_stack(client, target.stack("data"), json.dumps(of_before()), named, poll_seconds=0)
    updates = Updates(target, monkeypatch)
    updates.store(new_order("order-1"))

    assert not former_indexes_go(target), "the first deploy is no time for it"
    deploy_data(target)
    assert {"byAccount", "byPlaced"} < updates.indexes, "the functions of before are still at work"
    updates.store(new_order("order-2"))
    assert updates.listed("byAccount") == updates.listed("byPlaced") == ["order-1", "order-2"]

    assert former_indexes_go(target)
    deploy_data(target)
    assert "byAccount" in updates.indexes
    drop_indexes(target)
    assert updates.changes == ["made byPlaced", "dropped byAccount"]
    assert updates.listed("byPlaced") == ["order-1", "order-2"]
    deploy_data(target)
    drop_indexes(target)
    assert updates.changes == ["made byPlaced", "dropped byAccount"]


def test_indexes_of_before_go_one_an_update_with_the_attributes_of_their_keys() -> None:
    wanted = parse((PROJECT / "infra" / "deployment" / "data.yaml").read_text())
    present = json.loads(json.dumps(wanted))
    table = present["Resources"]["OrdersTable"]["Properties"]
    for name in ("former", "older"):
        table["AttributeDefinitions"].append({"AttributeName": name, "AttributeType": "S"})
        schema = [{"AttributeName": name, "KeyType": "HASH"}]
        table["GlobalSecondaryIndexes"].append(
            {"IndexName": name, "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}
        )
    assert with_former_indexes(present, wanted) == present
    first, last = templates_without(present, wanted)
    assert last == wanted
    left = first["Resources"]["OrdersTable"]["Properties"]
    assert [index["IndexName"] for index in left["GlobalSecondaryIndexes"]][-2:] == ["byPair", "older"]
    assert [each["AttributeName"] for each in left["AttributeDefinitions"]][-2:] == ["waitingPair", "older"]
    assert templates_without(wanted, wanted) == []


def test_a_deploy_waits_until_a_new_index_is_filled_and_says_so_where_that_takes_longer(target: Target) -> None:
    tables = [deploy_data(target)["OrdersTable"]]

    class Filling:
        """DynamoDB whose new index is filled once it was asked for a few times."""

        def __init__(self, asked: int) -> None:
            self.left = asked

        def describe_table(self, **asked: str) -> Any:
            described: Any = target.client("dynamodb").describe_table(**asked)
            for index in described["Table"]["GlobalSecondaryIndexes"]:
                if index["IndexName"] == "byPlaced" and self.left > 0:
                    index["IndexStatus"] = "CREATING"
            self.left -= 1
            return described

    filling = Filling(3)
    await_indexes(filling, tables, poll_seconds=0)
    assert filling.left == -1
    with pytest.raises(StackError, match="index byPlaced: the functions are as they were; deploy again"):
        await_indexes(Filling(10**9), tables, poll_seconds=0, timeout_seconds=0.01)


def test_a_stack_that_has_every_index_is_updated_once(target: Target) -> None:
    template = parse((PROJECT / "infra" / "deployment" / "data.yaml").read_text())
    assert templates_between(template, template) == []
    without = json.loads(json.dumps(template))
    without["Resources"]["OrdersTable"]["Properties"]["GlobalSecondaryIndexes"].pop()
    assert templates_between(without, template) == []
    del without["Resources"]["OrdersTable"]
    assert templates_between(without, template) == [], "a table that is new is made with all of them at once"


def test_orders_are_packed_once_the_functions_of_before_can_read_them() -> None:
    assert pack_orders(None) == "true"
    assert pack_orders({"STAGE": "prod"}) == "false"
    assert pack_orders({"STAGE": "prod", "PACK_ORDERS": "false"}) == "true"
    assert pack_orders({"STAGE": "prod", "PACK_ORDERS": "true"}) == "true"


def test_expired_items_go_and_every_change_is_streamed(target: Target) -> None:
    outputs = deploy_data(target)
    dynamodb = target.client("dynamodb")
    table = dynamodb.describe_table(TableName=outputs["OrdersTable"])["Table"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["LatestStreamArn"] == outputs["OrdersStreamArn"]
    expiry = dynamodb.describe_time_to_live(TableName=outputs["OrdersTable"])["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}


NODES = "https://rpc.example/a-providers-key"
SETTINGS = DeploymentSettings(NODES, "kms")


def test_where_the_nodes_are_is_kept_as_a_secret_of_which_a_change_makes_new_processes(target: Target) -> None:
    data = deploy_data(target, nodes=secret_nodes(target, SETTINGS))
    kept = target.client("secretsmanager").get_secret_value(SecretId=data["SolanaRpcSecretArn"])
    told = nodes_of(target, SETTINGS, data)
    assert kept["SecretString"] == NODES
    assert told == {"SolanaRpcSecretArn": data["SolanaRpcSecretArn"], "SolanaRpcSecretVersion": kept["VersionId"]}
    assert "a-providers-key" not in repr(SETTINGS)
    target.client("secretsmanager").put_secret_value(SecretId=data["SolanaRpcSecretArn"], SecretString="https://new")
    assert nodes_of(target, SETTINGS, data)["SolanaRpcSecretVersion"] != told["SolanaRpcSecretVersion"]


@pytest.mark.parametrize("stage", ["local", "localstack"])
def test_on_the_local_stages_the_nodes_stay_in_the_functions_environment(stage: Stage) -> None:
    local = Target(stage, None, REGION, "http://127.0.0.1:9")
    assert secret_nodes(local, SETTINGS) == ""
    assert nodes_of(local, SETTINGS, {}) == {"SolanaRpcUrl": NODES}


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


def test_a_wrong_line_of_a_registry_is_told_and_the_others_are_registered(target: Target, registry: Path) -> None:
    wrong = [{"address": "pool1", "program": CPMM}, {"address": POOL_1, "program": POOL_2}, {"address": POOL_2}, 7]
    registry.write_text(json.dumps([*wrong, JUP_USDC]))
    table, dynamodb, told = deploy_data(target)["PoolsTable"], target.client("dynamodb"), list[str]()
    assert pool_registry.seed(dynamodb, table, registry, left_out=told.append) == 1
    assert pools(dynamodb, table) == {POOL_2: DLMM}
    assert [text.endswith("; it is left out") for text in told] == [True] * len(wrong)
    assert ["'pool1' is no address" in told[0], "Fillrate trades on" in told[1]] == [True, True]
    assert ["entry 3 is not" in told[2], "entry 4 is not" in told[3]] == [True, True]


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
    assert client.asked["RetainExceptOnCreate"], "what a failed deploy has made must not be left behind"


def test_a_stack_that_lacks_an_output_is_a_failed_one_and_the_output_is_named(target: Target) -> None:
    client = target.client("cloudformation")
    template = json.dumps(
        {
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {"QueueUrl": {"Value": {"Ref": "Queue"}}},
        }
    )
    with pytest.raises(StackError, match=r"fillrate-prod .*CREATE_COMPLETE.*tells no RestAPIId: deploy again"):
        deploy_stack(client, "fillrate-prod", template, {}, poll_seconds=0, needed=["QueueUrl", "RestAPIId"])


def test_a_stage_whose_stack_never_came_to_be_is_no_stage(target: Target) -> None:
    template = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})
    target.client("cloudformation").create_stack(StackName="fillrate-prod", TemplateBody=template)
    with pytest.raises(NoStage, match="fillrate-prod is CREATE_COMPLETE: deploy stage prod again"):
        deployed(target)


def test_a_wallet_in_kms_is_refused_before_anything_is_made_where_the_emulator_has_no_such_keys(
    target: Target,
) -> None:
    """moto's KMS has none; a Target with an address is an emulator."""
    emulator = Target("localstack", _AtAws(target), REGION, "http://127.0.0.1:9")
    with pytest.raises(WalletError, match=r"no Ed25519 keys.*secret:"):
        deploy_data(emulator, "kms", "role")
    assert target.client("cloudformation").describe_stacks()["Stacks"] == []
    assert target.client("kms").list_keys()["Keys"] == []
    before = deploy_data(emulator)
    with pytest.raises(WalletError, match="no Ed25519 keys"):
        deploy_data(emulator, "kms", "role")  # a stage that had another wallet until now
    assert deploy_data(emulator) == before


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["--stage", "prod"], "SOLANA_RPC_URL"),
        (["--stage", "local"], "make up"),
        (["--stage", "local", "--endpoint-url", ELSEWHERE], "give --solana-rpc-url"),
        (["--stage", "local", "--endpoint-url", ELSEWHERE, "--solana-rpc-url", CHAIN], "give --wallet"),
        (["--stage", "local", "--wallet", "file:w.json", "--solana-rpc-url", CHAIN], "make up"),
        (
            [*("--stage", "local", "--wallet", "file:w.json", "--solana-rpc-url"), CHAIN, "--endpoint-url", ELSEWHERE],
            "127.0.0.1:9",
        ),
        ([*PROD, "--wallet", "file:w.json"], "stage prod takes no wallet from a file"),
        ([*PROD, "--wallet", "ledger:0"], "kms:<key id, ARN or alias>"),
        (PROD, "give --wallet"),
    ],
)
def test_a_deploy_that_cannot_be_says_what_is_missing(
    arguments: list[str],
    missing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("SOLANA_RPC_URL", "AWS_ENDPOINT_URL", "WALLET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(deploy, "_STACK", tmp_path / "none.json")
    assert main(arguments) == 1
    complaint = capsys.readouterr().err
    assert missing in complaint
    assert "Traceback" not in complaint


REMOTE = ["http://10.0.0.7:8899", "https://api.mainnet-beta.solana.com", "http://127.0.0.1:8899,https://rpc.example"]


@pytest.mark.parametrize("node", REMOTE)
def test_the_stage_that_asks_for_no_key_trades_on_another_machines_node_only_when_that_is_said_twice(node: str) -> None:
    options = ["--stage", "local", "--wallet", "file:w.json", "--solana-rpc-url", node]
    parser = command_line("infra.deploy")
    with pytest.raises(DeployError, match="--real-node-without-keys"):
        settings_from(parser.parse_args(options))
    assert settings_from(parser.parse_args([*options, "--real-node-without-keys"])).solana_rpc_url == node


@pytest.mark.parametrize("node", ["http://127.0.0.1:8899", "http://localhost:1", "http://[::1]:8899"])
def test_a_node_of_this_machine_needs_no_second_word(node: str) -> None:
    options = ["--stage", "local", "--wallet", "file:w.json", "--solana-rpc-url", node]
    assert settings_from(command_line("infra.deploy").parse_args(options)).solana_rpc_url == node


@pytest.mark.parametrize("where", [["--stage", "local"], [*PROD, "--endpoint-url", "http://127.0.0.1:4566"]])
def test_a_firewall_is_for_aws(where: list[str]) -> None:
    with pytest.raises(DeployError, match="--waf is for AWS"):
        settings_from(command_line("infra.deploy").parse_args([*where, "--waf"]))


def test_on_aws_a_firewall_is_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    parser = command_line("infra.deploy")
    assert settings_from(parser.parse_args([*PROD, "--wallet", "kms", "--waf"])).firewall
    assert not settings_from(parser.parse_args([*PROD, "--wallet", "kms"])).firewall


def test_the_firewall_stands_before_the_rest_api_and_stops_one_address_that_asks_without_end() -> None:
    """(Read from the template, which `make lint` checks: moto and the emulator have no such resource.)"""
    text = (PROJECT / "infra" / "deployment" / "waf.yaml").read_text()
    resources = YAMLTemplateSerializer().load_template(text)["Resources"]
    rules = {rule["Name"]: rule for rule in resources["Firewall"]["Properties"]["Rules"]}
    assert rules["one-address"]["Action"] == {"Block": {}}
    assert rules["one-address"]["Statement"]["RateBasedStatement"]["AggregateKeyType"] == "IP"
    place = resources["FirewallOfTheApi"]["Properties"]["ResourceArn"]["Fn::Sub"]
    assert place.endswith("::/restapis/${RestAPIId}/stages/api")


class _AtAws:
    """A session whose clients are moto's, with no address of their own."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def client(self, service: str, **_: Any) -> Any:
        return self._target.client(service)


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

    def create_stack(self, **asked: Any) -> None:
        self.asked = asked
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
