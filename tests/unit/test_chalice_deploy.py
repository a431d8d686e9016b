"""Deployed by Chalice or by CloudFormation, the functions are told the same and their event sources behave the same."""

import json
import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from chalice.package import YAMLTemplateSerializer

from infra.deployment.chalice_deploy import environment, mapping_settings, own_variables, write_policies
from infra.deployment.deploy import DeploymentSettings
from infra.deployment.role_policies import Deployed, UnknownReference, policies
from infra.deployment.wallet import DeployedWallet
from infra.project import PROJECT
from operations.target import Target

DATA = {
    name: f"the {name}"
    for name in (
        "OrdersTable",
        "PoolsTable",
        "ControlTable",
        "AccessTable",
        "ConnectionsTable",
        "TicketSecretArn",
        "OrdersQueueUrl",
        "DeadLetterQueueUrl",
    )
}


WALLET = DeployedWallet("kms:arn", address="7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3")


@pytest.mark.parametrize("endpoint_url", [None, "http://localhost.localstack.cloud:4566"])
def test_the_functions_get_every_variable_that_the_template_gives_them(endpoint_url: str | None) -> None:
    target = Target("prod", session=None, region="eu-central-1", endpoint_url=endpoint_url)
    settings = DeploymentSettings("https://rpc.example", "kms:key", rpc_requests_per_second=Decimal(4))
    variables = environment(target, settings, DATA, wallet=WALLET, websocket_api="abc123")
    template = (PROJECT / "infra" / "deployment" / "functions.yaml").read_text()
    block = template[template.index("Variables:") : template.index("\nResources:")]
    assert set(variables) == set(re.findall(r"^ +([A-Z0-9_]+):", block, re.MULTILINE))
    assert all(isinstance(value, str) and value for value in variables.values())


def test_the_worker_alone_is_told_that_it_executes_orders() -> None:
    assert own_variables() == {"execute_order": {"EXECUTES_ORDERS": "true"}}


def test_what_is_not_given_is_absent() -> None:
    target = Target("prod", session=None, region="eu-central-1")
    settings = DeploymentSettings("https://rpc.example", "kms")
    variables = environment(target, settings, DATA, wallet=WALLET, websocket_api="abc123")
    assert variables["WEBSOCKET_URL"] == "wss://abc123.execute-api.eu-central-1.amazonaws.com/api"
    assert variables["WEBSOCKET_ENDPOINT"] == "https://abc123.execute-api.eu-central-1.amazonaws.com/api"


def test_both_event_sources_take_partial_failures() -> None:
    settings = mapping_settings()
    assert len(settings) == 2
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
