"""Deployed by Chalice or by CloudFormation, the functions are told the same and their event sources behave the same."""

import json
import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from chalice.package import YAMLTemplateSerializer

from infra.deployment.chalice_deploy import (
    deploy_by_chalice,
    environment,
    mapping_settings,
    own_variables,
    write_policies,
)
from infra.deployment.deploy import DeployError, DeploymentSettings, LaneSettings, command_line, settings_from
from infra.deployment.role_policies import Deployed, UnknownReference, policies
from infra.deployment.wallet import DeployedWallet
from infra.project import PROJECT
from operations.target import Target

DATA = {
    name: f"the {name}"
    for name in (
        "OrdersTable",
        "PoolsTable",
        "ProposalsTable",
        "ControlTable",
        "AccessTable",
        "MeterTable",
        "ConnectionsTable",
        "LineTable",
        "CirculationsTable",
        "QuoteStreamsTable",
        "TicketSecretArn",
        "OrdersQueueUrl",
        "DeadLetterQueueUrl",
        "WatchQueueUrl",
    )
}


WALLET = DeployedWallet("kms:arn", address="7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3")


@pytest.mark.parametrize("endpoint_url", [None, "http://localhost.localstack.cloud:4566"])
def test_the_functions_get_every_variable_that_the_template_gives_them(endpoint_url: str | None) -> None:
    target = Target("prod", session=None, region="eu-central-1", endpoint_url=endpoint_url)
    lanes = LaneSettings("1", "https://lane.example", "10000", "7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3")
    settings = DeploymentSettings("https://rpc.example", "kms:key", rpc_requests_per_second=Decimal(4), lanes=lanes)
    variables = environment(target, settings, DATA, wallet=WALLET, websocket_api="abc123")
    template = (PROJECT / "infra" / "deployment" / "functions.yaml").read_text()
    block = template[template.index("Variables:") : template.index("\nResources:")]
    assert set(variables) == set(re.findall(r"^ +([A-Z0-9_]+):", block, re.MULTILINE))
    assert "https://rpc.example" not in variables.values()
    assert all(isinstance(value, str) and value for value in variables.values())


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ({"SolanaRpcUrl": "http://node"}, {"SOLANA_RPC_URL": "http://node"}),
        (
            {"SolanaRpcSecretArn": "arn", "SolanaRpcSecretVersion": "1"},
            {"SOLANA_RPC_SECRET_ARN": "arn", "SOLANA_RPC_SECRET_VERSION": "1"},
        ),
    ],
    ids=["in the environment", "as a secret"],
)
def test_those_that_ask_a_node_are_told_where_it_is_and_each_what_is_its_own(
    nodes: dict[str, str], told: dict[str, str]
) -> None:
    assert own_variables({**nodes, "AuditTable": "the record"}) == {
        "api_handler": told,
        "execute_order": {"EXECUTES_ORDERS": "true", **told},
        "watch_pairs": told,
        "discover_pools": {"AUDIT_TABLE": "the record", **told},
        "websocket_message": told,
    }


@pytest.mark.parametrize(
    ("stage", "given", "told"),
    [
        ("prod", [], "https://explorer.solana.com/tx/{txHash}"),
        ("local", [], ""),
        ("prod", ["--explorer-url", ""], ""),
        ("local", ["--explorer-url", "http://127.0.0.1:3000/tx/{txHash}"], "http://127.0.0.1:3000/tx/{txHash}"),
    ],
)
def test_the_main_cluster_has_an_explorer_and_the_localnet_none(stage: str, given: list[str], told: str) -> None:
    options = command_line("deploy").parse_args(
        ["--stage", stage, "--solana-rpc-url", "http://127.0.0.1:8899", "--wallet", "kms", *given]
    )
    assert settings_from(options).explorer_url == told


@pytest.mark.parametrize("address", ["https://explorer.example/tx/", "javascript:alert('{txHash}')"])
def test_what_is_no_explorer_is_not_deployed(address: str) -> None:
    where = ["--stage", "local", "--solana-rpc-url", "http://127.0.0.1:8899", "--wallet", "kms"]
    options = command_line("deploy").parse_args([*where, "--explorer-url", address])
    with pytest.raises(DeployError, match="--explorer-url"):
        settings_from(options)


@pytest.mark.parametrize(("given", "told"), [([], "1"), (["--watch-every-seconds", "30"], "30")])
def test_watchers_are_told_how_often_to_look(given: list[str], told: str) -> None:
    where = ["--stage", "prod", "--solana-rpc-url", "https://rpc.example", "--wallet", "kms"]
    settings = settings_from(command_line("deploy").parse_args([*where, *given]))
    target = Target("prod", session=None, region="eu-central-1")
    variables = environment(target, settings, DATA, wallet=WALLET, websocket_api="abc123")
    assert variables["WATCH_EVERY_SECONDS"] == told


@pytest.mark.parametrize("seconds", ["0", "901", "-1", "1.5", "often", ""])
def test_a_pause_that_no_queue_keeps_is_refused_with_those_that_one_does(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command_line("deploy").parse_args(["--stage", "prod", f"--watch-every-seconds={seconds}"])
    assert "from 1 to 900" in capsys.readouterr().err


def test_what_is_not_given_is_absent() -> None:
    target = Target("prod", session=None, region="eu-central-1")
    settings = DeploymentSettings("https://rpc.example", "kms")
    variables = environment(target, settings, DATA, wallet=WALLET, websocket_api="abc123")
    assert variables["WEBSOCKET_URL"] == "wss://abc123.execute-api.eu-central-1.amazonaws.com/api"
    assert variables["WEBSOCKET_ENDPOINT"] == "https://abc123.execute-api.eu-central-1.amazonaws.com/api"


def test_where_chalice_cannot_deploy_an_api_nothing_is_changed_and_the_command_to_use_is_named() -> None:
    target = Target("local", session=None, region="us-east-1", endpoint_url="http://127.0.0.1:4566")
    with pytest.raises(DeployError, match=r"python -m infra\.deploy --stage local"):
        deploy_by_chalice(target, DeploymentSettings("http://127.0.0.1:8899", "kms"))


def test_where_there_is_no_websocket_chalice_is_not_begun_with() -> None:
    class NothingImplemented:
        def client(self, *_: object, **__: object) -> Any:
            return self

        def get_apis(self, **_: str) -> None:
            answer: Any = {"Error": {"Code": "InternalFailure"}, "ResponseMetadata": {"HTTPStatusCode": 501}}
            raise ClientError(answer, "GetApis")

    target = Target("localstack", NothingImplemented(), "us-east-1", "http://127.0.0.1:4566")
    with pytest.raises(DeployError, match=r"no WebSocket there.*python -m infra\.deploy --stage localstack"):
        deploy_by_chalice(target, DeploymentSettings("http://127.0.0.1:8899", "kms"))


def test_all_event_sources_take_partial_failures() -> None:
    settings = mapping_settings()
    assert len(settings) == 3
    assert all(mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for mapping in settings.values())


@pytest.fixture
def template() -> dict[str, Any]:
    template: dict[str, Any] = YAMLTemplateSerializer().load_template(
        (PROJECT / "infra" / "deployment" / "functions.yaml").read_text()
    )
    return template


@pytest.fixture
def place(template: dict[str, Any]) -> Deployed:
    parameters = {name: f"arn:aws:the:{name}" for name in template["Parameters"]}
    return Deployed("prod", "eu-central-1", "123456789012", "aws", parameters)


def test_each_function_gets_the_policy_that_the_template_gives_it(template: dict[str, Any], place: Deployed) -> None:
    documents = policies(template, place)
    roles = [name for name in template["Resources"] if name.endswith("Role")]
    assert len(documents) == len(roles) >= 7
    assert {"api_handler", "execute_order", "push_changes", "sweep", "websocket_connect"} <= documents.keys()
    assert "Fn::" not in json.dumps(documents)
    assert "Ref" not in json.dumps(documents)
    rights: dict[str, set[str]] = defaultdict(set)
    for statement in documents["sweep"]["Statement"]:
        for resource in [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]:
            rights[resource] |= set(statement["Action"])
    logs = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/fillrate-prod-sweep:*"
    assert rights[logs] == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert rights["arn:aws:the:OrdersTableArn/index/byDue"] == {"dynamodb:Query"}
    assert rights["arn:aws:the:OrdersQueueArn"] == {"sqs:SendMessage"}


def test_what_holds_under_a_condition_is_there_only_then() -> None:
    statement = {"Effect": "Allow", "Action": ["kms:Sign"], "Resource": {"Ref": "KeyArn"}}
    document = {"Statement": [{"Fn::If": ["HasKey", statement, {"Ref": "AWS::NoValue"}]}]}
    template = {
        "Parameters": {"KeyArn": {"Type": "String", "Default": ""}},
        "Conditions": {"HasKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "KeyArn"}, ""]}]}},
        "Resources": {"WorkerRole": {"Properties": {"Policies": [{"PolicyDocument": document}]}}},
    }
    without = policies(template, Deployed("prod", "r", "1", "aws", {}))["worker"]["Statement"]
    with_key = policies(template, Deployed("prod", "r", "1", "aws", {"KeyArn": "arn:key"}))["worker"]["Statement"]
    assert without == []
    assert with_key == [statement | {"Resource": "arn:key"}]


@pytest.mark.parametrize("reference", [{"Ref": "Nothing"}, {"Fn::Sub": "${Nothing}"}, {"Fn::Select": [0, ["a"]]}])
def test_a_reference_to_something_unknown_is_named(reference: dict[str, Any]) -> None:
    document = {"Statement": [{"Resource": reference}]}
    template = {
        "Parameters": {},
        "Resources": {"WorkerRole": {"Properties": {"Policies": [{"PolicyDocument": document}]}}},
    }
    with pytest.raises(UnknownReference, match=r"(Nothing|Fn::Select) in the policy of worker"):
        policies(template, Deployed("prod", "r", "1", "aws", {}))


def test_chalice_is_told_of_each_functions_own_policy(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"lambda_functions": {"sweep": {"lambda_timeout": 60}}}')
    write_policies(tmp_path, {"sweep": {"Statement": []}, "authorize": {"Statement": [1]}})
    functions = json.loads((tmp_path / "config.json").read_text())["lambda_functions"]
    assert functions["sweep"] == {"lambda_timeout": 60, "iam_policy_file": "policy-sweep.json"}
    assert json.loads((tmp_path / functions["authorize"]["iam_policy_file"]).read_text()) == {"Statement": [1]}
