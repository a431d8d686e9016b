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
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from chalice.package import YAMLTemplateSerializer

from infra.deployment.cloudformation import StackError
from infra.deployment.deploy import (
    DeployError,
    DeploymentSettings,
    api_url,
    command_line,
    deploy_data,
    seed_pools,
    settings_from,
    wallet_of,
)
from infra.deployment.role_policies import Deployed, policies
from infra.deployment.wallet import DeployedWallet, WalletError
from infra.project import PROJECT
from operations.errors import OperationError
from operations.pool_registry import RegistryError
from operations.target import Target, target_for

_LOG_DAYS = 365
_CHALICE = "from chalice.cli import main; main()"
# Chalice's names of what it deployed, and the names of the same mappings in infra/deployment/functions.yaml.
_MAPPINGS = {
    "execute_order-sqs-event-source": ("ExecuteOrder", "ExecuteOrderSqsEventSource"),
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
    data = deploy_data(target, settings.wallet)
    wallet = wallet_of(target, settings, data)
    _run_chalice(target, data | wallet.parameters)
    deployed = json.loads(_state(PROJECT, target).read_text())
    resources = {resource["name"]: resource for resource in deployed["resources"]}
    websocket_api = resources["websocket_api"]["websocket_api_id"]
    client = target.client("lambda")
    variables = environment(target, settings, data, wallet, websocket_api)
    own = own_variables()
    # The functions first: the mappings must not report failures to functions that can't work yet.
    for resource in resources.values():
        if resource["resource_type"] == "lambda_function":
            client.update_function_configuration(
                FunctionName=resource["lambda_arn"],
                Environment={"Variables": variables | own.get(resource["name"], {})},
            )
    for name, mapping in mapping_settings().items():
        client.update_event_source_mapping(UUID=resources[name]["event_uuid"], **mapping)
    return data | {
        "wallet": wallet.address or "",
        "restUrl": api_url(target, "http", resources["rest_api"]["rest_api_id"]),
        "wsUrl": variables["WEBSOCKET_URL"],
        "WorkerFunction": resources["execute_order"]["lambda_arn"],
    }


def environment(
    target: Target, settings: DeploymentSettings, data: dict[str, str], wallet: DeployedWallet, websocket_api: str
) -> dict[str, str]:
    """The functions' environment: what infra/deployment/functions.yaml gives them, from the same parts."""
    variables = {
        "STAGE": target.stage,
        "ORDERS_TABLE": data["OrdersTable"],
        "POOLS_TABLE": data["PoolsTable"],
        "CONTROL_TABLE": data["ControlTable"],
        "ACCESS_TABLE": data["AccessTable"],
        "CONNECTIONS_TABLE": data["ConnectionsTable"],
        "TICKET_SECRET_ARN": data["TicketSecretArn"],
        "ORDERS_PER_MINUTE": str(settings.orders_per_minute),
        "ORDERS_AT_ONCE": str(settings.orders_at_once),
        "RPC_REQUESTS_PER_SECOND": str(settings.rpc_requests_per_second or ""),
        "ORDERS_QUEUE_URL": data["OrdersQueueUrl"],
        "DEAD_LETTER_QUEUE_URL": data["DeadLetterQueueUrl"],
        "SOLANA_RPC_URL": settings.solana_rpc_url,
        "WEBSOCKET_URL": api_url(target, "ws", websocket_api),
        "WEBSOCKET_ENDPOINT": api_url(target, "http", websocket_api),
        "WALLET": wallet.setting,
        "WALLET_ADDRESS": wallet.address or "",
        "LOG_LEVEL": settings.log_level,
    }
    constants = {name: value for name, value in _template_variables().items() if isinstance(value, str)}
    return {name: value for name, value in variables.items() if value} | constants


def own_variables() -> dict[str, dict[str, str]]:
    """What functions.yaml gives one function alone, by Chalice's name of it."""
    worker: dict[str, str] = _template()["Resources"]["ExecuteOrder"]["Properties"]["Environment"]["Variables"]
    return {"execute_order": worker}


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
        "ORDERS_STREAM_ARN": data["OrdersStreamArn"],
        "AWS_DEFAULT_REGION": target.region,
    }
    if target.endpoint_url:
        variables |= {"AWS_ENDPOINT_URL": target.endpoint_url}
        variables |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    identity = target.client("sts").get_caller_identity()
    place = Deployed(target.stage, target.region, identity["Account"], identity["Arn"].split(":")[1], data)
    with tempfile.TemporaryDirectory(prefix="fillrate-chalice-") as directory:
        project = Path(directory)
        _copy_project(project)
        documents = policies(_template(), place)
        write_policies(project / ".chalice", documents)
        _ensure_log_groups(target, documents)
        if _state(PROJECT, target).exists():
            _state(project, target).parent.mkdir()
            shutil.copy(_state(PROJECT, target), _state(project, target))
        command = [sys.executable, "-c", _CHALICE, "--project-dir", str(project), "deploy", "--stage", target.stage]
        failed = subprocess.run(command, env=variables, check=False).returncode
        if _state(project, target).exists():  # also after a failure: what was made must be found again
            _state(PROJECT, target).parent.mkdir(exist_ok=True)
            shutil.copy(_state(project, target), _state(PROJECT, target))
    if failed:
        raise DeployError("chalice deploy failed")


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


def _copy_project(project: Path) -> None:
    for name in ("app.py", "requirements.txt"):
        shutil.copy(PROJECT / name, project)
    shutil.copytree(PROJECT / "chalicelib", project / "chalicelib", ignore=shutil.ignore_patterns("__pycache__"))
    (project / ".chalice").mkdir()
    for settings in (PROJECT / ".chalice").glob("*.json"):
        shutil.copy(settings, project / ".chalice")


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
    target = target_for(options.stage, options.endpoint_url, options.region)
    deployed = deploy_by_chalice(target, settings_from(options))
    seed_pools(target, deployed["PoolsTable"], options.pools)
    return deployed


if __name__ == "__main__":
    raise SystemExit(main())
