"""Read from the template that is deployed: each function has a role of its own, which may do named things only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.aws.dynamodb.proposal_table import RECORD_KIND
from infra.deployment import package
from infra.project import PROJECT

Json = dict[str, Any]

# The action knows no narrower resource: dynamodb in AWS's service authorization reference.
ANY_RESOURCE = {("PushChangesRole", "dynamodb:ListStreams")}
# WebSocket connections have no names before they exist.
WITH_WILDCARD = {"/@connections/*"}


@pytest.fixture(scope="module")
def resources() -> Json:
    resources: Json = package.build_template("prod")["Resources"]
    return resources


def of_type(resources: Json, kind: str) -> Json:
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def statements(role: Json) -> Iterator[Json]:
    """Every statement of the role's, those included that hold under a condition."""
    for policy in role.get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            branches = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
            yield from (branch for branch in branches if branch != {"Ref": "AWS::NoValue"})


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_function_has_a_role_that_no_other_has(resources: Json) -> None:
    functions = of_type(resources, "AWS::Serverless::Function")
    roles = {name: function["Role"]["Fn::GetAtt"][0] for name, function in functions.items()}
    assert len(functions) >= 7
    assert len(set(roles.values())) == len(functions)
    assert set(roles.values()) == of_type(resources, "AWS::IAM::Role").keys()


def test_only_lambda_takes_on_a_role_and_it_brings_no_policy_of_aws(resources: Json) -> None:
    for role in of_type(resources, "AWS::IAM::Role").values():
        trust = role["AssumeRolePolicyDocument"]["Statement"]
        assert [statement["Principal"] for statement in trust] == [{"Service": "lambda.amazonaws.com"}]
        assert not role.get("ManagedPolicyArns")


def test_actions_are_named_one_by_one(resources: Json) -> None:
    for role in of_type(resources, "AWS::IAM::Role").values():
        for statement in statements(role):
            assert statement["Effect"] == "Allow"
            assert "NotAction" not in statement
            assert not [action for action in listed(statement["Action"]) if "*" in action]


def test_the_stream_is_pushed_by_several_at_once_and_a_failed_batch_is_tried_a_few_times(resources: Json) -> None:
    """So one account's batch is not behind another's; DynamoDB keeps one partition key's records in one of them."""
    (stream,) = (
        event["Properties"]
        for function in of_type(resources, "AWS::Serverless::Function").values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "DynamoDB"
    )
    assert stream["ParallelizationFactor"] == 10
    assert stream["MaximumRetryAttempts"] == 3


def test_resources_are_named_but_where_aws_knows_none(resources: Json) -> None:
    any_resource = set()
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for statement in statements(role):
            assert "NotResource" not in statement
            for resource in listed(statement["Resource"]):
                if resource == "*":
                    any_resource |= {(name, action) for action in listed(statement["Action"])}
                elif "*" in str(resource):
                    assert any(resource["Fn::Sub"].endswith(ending) for ending in WITH_WILDCARD), resource
    assert any_resource == ANY_RESOURCE


def test_only_the_worker_reaches_the_wallets_key_and_signs_with_it_as_solana_does(resources: Json) -> None:
    grants = [
        (name, action, statement["Resource"], statement.get("Condition"))
        for name, role in of_type(resources, "AWS::IAM::Role").items()
        for statement in statements(role)
        for action in listed(statement["Action"])
        if action.startswith("kms:") or statement["Resource"] == {"Ref": "WalletSecretArn"}
    ]
    as_solana_does = {"StringEquals": {"kms:SigningAlgorithm": "ED25519_SHA_512", "kms:MessageType": "RAW"}}
    assert grants == [
        ("ExecuteOrderRole", "kms:Sign", {"Ref": "WalletKeyArn"}, as_solana_does),
        ("ExecuteOrderRole", "kms:GetPublicKey", {"Ref": "WalletKeyArn"}, None),
        ("ExecuteOrderRole", "secretsmanager:GetSecretValue", {"Ref": "WalletSecretArn"}, None),
    ]


def test_where_the_nodes_are_is_told_to_the_functions_that_ask_them_and_shown_to_nobody() -> None:
    template = package.build_template("prod")
    resources = template["Resources"]
    shared = str(template.get("Globals", {}))
    told = {
        name
        for name, function in of_type(resources, "AWS::Serverless::Function").items()
        if "SOLANA_RPC" in str(function.get("Environment", {}))
    }
    may_read = {
        name
        for name, role in of_type(resources, "AWS::IAM::Role").items()
        for statement in statements(role)
        if statement["Resource"] == {"Ref": "SolanaRpcSecretArn"}
    }
    assert "SOLANA_RPC" not in shared
    assert told == {"APIHandler", "ExecuteOrder", "WatchPairs", "DiscoverPools", "WebsocketMessage"}
    assert may_read == {f"{name.replace('API', 'Api')}Role" for name in told}
    assert template["Parameters"]["SolanaRpcUrl"]["NoEcho"] is True


def test_functions_move_counters_and_change_no_limit_and_no_kill_switch(resources: Json) -> None:
    """The emulator doesn't look at this condition, so it isn't tried out there."""
    allowed: dict[str, list[str]] = {}
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for statement in statements(role):
            if statement["Resource"] == {"Ref": "ControlTableArn"}:
                changes = set(listed(statement["Action"])) - {"dynamodb:GetItem", "dynamodb:BatchGetItem"}
                if changes:
                    assert changes == {"dynamodb:UpdateItem"}
                    (keys,) = statement["Condition"]["ForAllValues:StringLike"].values()
                    allowed.setdefault(name, []).extend(keys)
    counters = ["admission", "open#*", "waiting#*", "notional#*", "fees#*"]
    assert allowed == {
        "ApiHandlerRole": [*counters, "rpc-pace#*"],
        "ExecuteOrderRole": [*counters, "outage"],
        "WatchPairsRole": [*counters, "rpc-pace#*"],
        "DiscoverPoolsRole": ["rpc-pace#*"],
        "WebsocketMessageRole": ["rpc-pace#*"],
    }


READS = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan"}


def writers(resources: Json, table: str) -> dict[str, list[tuple[set[str], Json | None]]]:
    """By role what it may write of the table, and under which condition."""
    found: dict[str, list[tuple[set[str], Json | None]]] = {}
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for statement in statements(role):
            writes = set(listed(statement["Action"])) - READS
            if writes and {"Ref": f"{table}Arn"} in listed(statement["Resource"]):
                found.setdefault(name, []).append((writes, statement.get("Condition")))
    return found


def test_the_scheduled_search_alone_proposes_pools_and_no_function_registers_one(resources: Json) -> None:
    assert writers(resources, "PoolsTable") == {}
    assert writers(resources, "ProposalsTable") == {
        "DiscoverPoolsRole": [({"dynamodb:PutItem", "dynamodb:DeleteItem"}, None)]
    }


def test_of_the_operators_record_a_function_may_write_its_own_kind_of_entries_alone(resources: Json) -> None:
    """The emulator doesn't look at this condition, so it isn't tried out there."""
    own_kind = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [RECORD_KIND]}}
    assert writers(resources, "AuditTable") == {"DiscoverPoolsRole": [({"dynamodb:PutItem"}, own_kind)]}


def test_each_function_logs_to_its_own_group_which_forgets_after_a_year(resources: Json) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")
    for function in of_type(resources, "AWS::Serverless::Function").values():
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        assert groups[group]["RetentionInDays"] == 365
        role = resources[function["Role"]["Fn::GetAtt"][0]]["Properties"]
        logs = [statement for statement in statements(role) if listed(statement["Action"])[0].startswith("logs:")]
        assert [statement["Resource"] for statement in logs] == [{"Fn::GetAtt": [group, "Arn"]}]
        assert set(logs[0]["Action"]) == {"logs:CreateLogStream", "logs:PutLogEvents"}


def test_the_gateways_are_throttled(resources: Json) -> None:
    method, health = resources["RestAPI"]["Properties"]["MethodSettings"]
    route = resources["WebsocketAPIStage"]["Properties"]["DefaultRouteSettings"]
    assert (method["ResourcePath"], method["HttpMethod"]) == ("/*", "*")
    for throttle in (method, route):
        assert throttle["ThrottlingRateLimit"] == {"Ref": "GatewayRate"}
        assert throttle["ThrottlingBurstLimit"] == {"Ref": "GatewayBurst"}
    assert (health["ResourcePath"], health["HttpMethod"]) == ("/health", "GET")
    assert health["ThrottlingRateLimit"] == health["ThrottlingBurstLimit"] == {"Ref": "HealthRate"}


def test_a_function_whose_policy_is_forgotten_may_write_its_logs_and_no_more() -> None:
    """.chalice/policy.json is what Chalice gives a function that infra/deployment/functions.yaml doesn't know."""
    policy = json.loads((PROJECT / ".chalice" / "policy.json").read_text())
    assert {action for it in policy["Statement"] for action in it["Action"]} == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }
