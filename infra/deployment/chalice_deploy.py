"""The other way to deploy: `chalice deploy`, with what it can't do itself before and after it.

For AWS and LocalStack, whose API Gateway can import an API; infra/deployment/deploy.py is the way that works
everywhere. See docs/deploy.md. Don't mix the two in one account and stage.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from chalice.package import YAMLTemplateSerializer

from infra.deployment import chalice_project
from infra.deployment.cloudformation import StackError
from infra.deployment.deploy import (
    DeployError,
    DeploymentSettings,
    api_url,
    command_line,
    deploy_data,
    drop_indexes,
    former_indexes_go,
    nodes_of,
    record_wallet,
    secret_nodes,
    seed_pools,
    settings_from,
    target_from,
    wallet_of,
)
from infra.deployment.no_websocket import has_websocket
from infra.deployment.ownership import check_owner, note_owner
from infra.deployment.role_policies import Deployed, policies
from infra.deployment.waf import deploy_firewall
from infra.deployment.wallet import DeployedWallet, WalletError
from infra.project import PROJECT
from operations.errors import OperationError
from operations.pool_registry import RegistryError
from operations.target import Target

_LOG_DAYS = 365
_STDERR = 2
# Chalice's names of what it deployed, and the names of the same mappings in infra/deployment/functions.yaml.
_MAPPINGS = {
    "execute_order-sqs-event-source": ("ExecuteOrder", "ExecuteOrderSqsEventSource"),
    "watch_pairs-sqs-event-source": ("WatchPairs", "WatchPairsSqsEventSource"),
    "push_changes-dynamodb-event-source": ("PushChanges", "PushChangesDynamodbEventSource"),
}
# Of a mapping's settings in the template, those that Chalice leaves out and Lambda's API knows by the same name.
_MAPPING_SETTINGS = (
    "FunctionResponseTypes",
    "FilterCriteria",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
)


def deploy_by_chalice(target: Target, settings: DeploymentSettings) -> dict[str, str]:
    """Deploy the data stack, run `chalice deploy`, and complete what it made; returns addresses and names.

    Raises DeployError, StackError or boto3's errors.
    """
    if target.on_ministack:
        raise DeployError(
            "MiniStack can't import an API, so Chalice's would answer nothing: "
            f"use python -m infra.deploy --stage {target.stage}"
        )
    if target.endpoint_url and not has_websocket(target.client("apigatewayv2")):
        raise DeployError(
            "there is no WebSocket there, and Chalice can't deploy without it: "
            f"use python -m infra.deploy --stage {target.stage}"
        )
    # the name that Chalice gives the role, and nothing else can
    role = f"fillrate-{target.stage}-execute_order"
    can_drop = former_indexes_go(target)
    data = deploy_data(target, settings.wallet, role, secret_nodes(target, settings))
    note_owner(target, data, PROJECT)  # what fails from here on is this checkout's to deploy again
    wallet = wallet_of(target, settings, data)
    _run_chalice(target, data | wallet.parameters)
    deployed = json.loads(_state(PROJECT, target).read_text())
    resources = {resource["name"]: resource for resource in deployed["resources"]}
    websocket_api = resources["websocket_api"]["websocket_api_id"]
    client = target.client("lambda")
    worker = client.get_function_configuration(FunctionName=resources["execute_order"]["lambda_arn"])
    told = worker.get("Environment", {}).get("Variables", {})
    former = {"wallet": told["WALLET"], "address": told.get("WALLET_ADDRESS", "")} if "WALLET" in told else None
    variables = environment(target, settings, data, wallet, websocket_api)
    own = own_variables(nodes_of(target, settings, data) | {"AuditTable": data["AuditTable"]})
    # The functions first: the mappings must not report failures to functions that can't work yet.
    for resource in resources.values():
        if resource["resource_type"] == "lambda_function":
            client.update_function_configuration(
                FunctionName=resource["lambda_arn"],
                Environment={"Variables": variables | own.get(resource["name"], {})},
            )
    for name, mapping in mapping_settings().items():
        client.update_event_source_mapping(UUID=resources[name]["event_uuid"], **mapping)
    if settings.firewall:
        deploy_firewall(target, resources["rest_api"]["rest_api_id"])
    record_wallet(target, data, former, wallet)
    if can_drop:
        drop_indexes(target)
    return data | {
        "wallet": wallet.address or "",
        "restUrl": api_url(target, "http", resources["rest_api"]["rest_api_id"]),
        "wsUrl": variables["WEBSOCKET_URL"],
        "WorkerFunction": resources["execute_order"]["lambda_arn"],
    }


_FUNCTIONS_TOLD_MORE = {
    "APIHandler": "api_handler",
    "ExecuteOrder": "execute_order",
    "WatchPairs": "watch_pairs",
    "DiscoverPools": "discover_pools",
    "WebsocketMessage": "websocket_message",
}


def environment(
    target: Target, settings: DeploymentSettings, data: dict[str, str], wallet: DeployedWallet, websocket_api: str
) -> dict[str, str]:
    """The functions' environment: what infra/deployment/functions.yaml gives them, from the same parts."""
    variables = {
        "STAGE": target.stage,
        "ORDERS_TABLE": data["OrdersTable"],
        "POOLS_TABLE": data["PoolsTable"],
        "PROPOSALS_TABLE": data["ProposalsTable"],
        "CONTROL_TABLE": data["ControlTable"],
        "ACCESS_TABLE": data["AccessTable"],
        "METER_TABLE": data["MeterTable"],
        "CONNECTIONS_TABLE": data["ConnectionsTable"],
        "LINE_TABLE": data["LineTable"],
        "CIRCULATIONS_TABLE": data["CirculationsTable"],
        "QUOTE_STREAMS_TABLE": data["QuoteStreamsTable"],
        "TICKET_SECRET_ARN": data["TicketSecretArn"],
        "ORDERS_PER_MINUTE": str(settings.orders_per_minute),
        "ORDERS_AT_ONCE": str(settings.orders_at_once),
        "WATCH_EVERY_SECONDS": str(settings.watch_every_seconds),
        "RPC_REQUESTS_PER_SECOND": str(settings.rpc_requests_per_second or ""),
        "ORDERS_QUEUE_URL": data["OrdersQueueUrl"],
        "DEAD_LETTER_QUEUE_URL": data["DeadLetterQueueUrl"],
        "WATCH_QUEUE_URL": data["WatchQueueUrl"],
        "WEBSOCKET_URL": api_url(target, "ws", websocket_api),
        "WEBSOCKET_ENDPOINT": api_url(target, "http", websocket_api),
        "WALLET": wallet.setting,
        "WALLET_ADDRESS": wallet.address or "",
        "EXPLORER_URL": settings.explorer_url,
        "TRANSACTION_VERSION": settings.lanes.transaction_version,
        "SENDERS": settings.lanes.senders,
        "TIP_LAMPORTS": settings.lanes.tip_lamports,
        "TIP_ACCOUNTS": settings.lanes.tip_accounts,
        "LOG_LEVEL": settings.log_level,
        "PACK_ORDERS": "true",  # by then every function is of this version
    }
    constants = {name: value for name, value in _template_variables().items() if isinstance(value, str)}
    return {name: value for name, value in variables.items() if value} | constants


def own_variables(parameters: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What functions.yaml gives some functions alone, by Chalice's name of each, with the values of its parameters."""
    own = {}
    for function, name in _FUNCTIONS_TOLD_MORE.items():
        variables = _template()["Resources"][function]["Properties"]["Environment"]["Variables"]
        texts = {key: parameters.get(it["Ref"], "") if isinstance(it, dict) else it for key, it in variables.items()}
        own[name] = {key: text for key, text in texts.items() if text}
    return own


def mapping_settings() -> dict[str, dict[str, Any]]:
    """What functions.yaml asks of each event source mapping beyond Chalice, by Chalice's name of it."""
    resources = _template()["Resources"]
    settings = {}
    for name, (function, event) in _MAPPINGS.items():
        wanted = resources[function]["Properties"]["Events"][event]["Properties"]
        settings[name] = {key: wanted[key] for key in _MAPPING_SETTINGS if key in wanted}
    return settings


def _template() -> dict[str, Any]:
    text = (PROJECT / "infra" / "deployment" / "functions.yaml").read_text()
    template: dict[str, Any] = YAMLTemplateSerializer().load_template(text)
    return template


def _template_variables() -> dict[str, Any]:
    variables: dict[str, Any] = _template()["Globals"]["Function"]["Environment"]["Variables"]
    return variables


def _run_chalice(target: Target, data: dict[str, str]) -> None:
    variables = os.environ | {
        "ORDERS_QUEUE_ARN": data["OrdersQueueArn"],
        "WATCH_QUEUE_ARN": data["WatchQueueArn"],
        "ORDERS_STREAM_ARN": data["OrdersStreamArn"],
        "AWS_DEFAULT_REGION": target.region,
    }
    if target.endpoint_url:
        variables |= {"AWS_ENDPOINT_URL": target.endpoint_url, **target.credentials.variables}
    identity = target.client("sts").get_caller_identity()
    place = Deployed(target.stage, target.region, identity["Account"], identity["Arn"].split(":")[1], data)
    with tempfile.TemporaryDirectory(prefix="fillrate-chalice-") as directory:
        project = Path(directory)
        chalice_project.copy_application(project)
        shutil.copy(PROJECT / "requirements.txt", project)
        documents = policies(_template(), place)
        write_policies(project / ".chalice", documents)
        _ensure_log_groups(target, documents)
        if _state(PROJECT, target).exists():
            _state(project, target).parent.mkdir()
            shutil.copy(_state(PROJECT, target), _state(project, target))
        command = chalice_project.command(project, "deploy", "--stage", target.stage)
        # What it says goes to stderr: stdout has the JSON alone.
        failed = subprocess.run(command, env=variables, stdout=_STDERR, check=False).returncode
        if _state(project, target).exists():  # also after a failure: what was made must be found again
            _state(PROJECT, target).parent.mkdir(exist_ok=True)
            shutil.copy(_state(project, target), _state(PROJECT, target))
    if failed:
        raise DeployError(
            "chalice deploy failed, see above. What it made before that is noted in .chalice/deployed: "
            "the same command again goes on from there"
        )


def write_policies(settings: Path, documents: dict[str, Any]) -> None:
    """Give each function its own policy in `settings`, a directory with Chalice's config.json."""
    config = json.loads((settings / "config.json").read_text())
    for function, document in documents.items():
        name = f"policy-{function}.json"
        (settings / name).write_text(json.dumps(document))
        config["lambda_functions"].setdefault(function, {})["iam_policy_file"] = name
    (settings / "config.json").write_text(json.dumps(config))


def _ensure_log_groups(target: Target, functions: Iterable[str]) -> None:
    """A group for each function, as in functions.yaml: their roles may write to it, and not make it."""
    logs = target.client("logs")
    for function in functions:
        name = f"/aws/lambda/fillrate-{target.stage}-{function}"
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=name)
        logs.put_retention_policy(logGroupName=name, retentionInDays=_LOG_DAYS)


def _state(project: Path, target: Target) -> Path:
    """What Chalice notes of what it has deployed."""
    return project / ".chalice" / "deployed" / f"{target.stage}.json"


def main(arguments: list[str] | None = None) -> int:
    """The command line; takes infra.deploy's options."""
    options = command_line("python -m infra.chalice_deploy").parse_args(arguments)
    try:
        deployed = _deploy_from(options)
    except (DeployError, OperationError, WalletError, StackError, RegistryError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    except (ClientError, BotoCoreError) as error:
        print(f"deploy: AWS refused: {error}", file=sys.stderr)
        return 1
    print(json.dumps(deployed, indent=2))
    return 0


def _deploy_from(options: argparse.Namespace) -> dict[str, str]:
    settings = settings_from(options)
    target = target_from(options)
    check_owner(target, PROJECT, options.replace)
    deployed = deploy_by_chalice(target, settings)
    if options.pools is not None:
        seed_pools(target, deployed, options.pools)
    return deployed


if __name__ == "__main__":
    raise SystemExit(main())
