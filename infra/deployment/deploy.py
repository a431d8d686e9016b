"""Deploys Fillrate to MiniStack, LocalStack or AWS; only the endpoint, the stage and the credentials differ.

`python -m infra.deploy --stage local|localstack|prod`: the data stack first (data.yaml), then the functions (Chalice's
package merged with functions.yaml), then the pool registry. What is there already is updated, and no data is touched.
See docs/deploy.md.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.solana.pacing import shares_of
from infra.deployment import artifacts, guarded_routes, ministack_gaps, monitoring, package
from infra.deployment.cloudformation import StackError, deploy_stack
from infra.deployment.wallet import OWN_KEY, DeployedWallet, WalletError, check_option, deployed_wallet
from infra.project import PROJECT
from operations import pool_registry
from operations.errors import OperationError
from operations.target import STAGES, Target, target_for

_DEFAULT_RPC_URLS = {"local": "http://127.0.0.1:8899", "localstack": "http://host.docker.internal:8899"}
_API_STAGE = "api"  # api_gateway_stage in .chalice/config.json


class DeployError(Exception):
    """Nothing can be deployed this way; the text says what to change."""


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """What the functions are told in addition to the names of the deployed resources."""

    solana_rpc_url: str
    wallet: str  # as `--wallet` says it, see infra/deployment/wallet.py
    orders_per_minute: int = 100
    orders_at_once: int = 10
    requests_per_second: int = 200
    # Calls a second that each Solana node takes from the whole stage; None: any number.
    rpc_requests_per_second: Decimal | None = None
    log_level: str = "INFO"
    alarm_email: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deploy leaves to be used: addresses without a trailing slash, and names."""

    rest_url: str
    websocket_url: str
    # Base58; None where it can't be known here.
    wallet: str | None
    outputs: dict[str, str] = field(repr=False)

    @property
    def worker_function(self) -> str:
        """The name of the Lambda that executes orders."""
        return self.outputs["WorkerFunction"]


def deploy(target: Target, settings: DeploymentSettings, built: package.Package) -> Deployment:
    """Bring both stacks of `target` to the present code. Raises StackError, or boto3's errors."""
    data = deploy_data(target, settings.wallet)
    wallet = wallet_of(target, settings, data)
    parameters = {
        **data,
        **wallet.parameters,
        "Stage": target.stage,
        "SolanaRpcUrl": settings.solana_rpc_url,
        "GatewayHost": target.gateway_host,
        "OrdersPerMinute": str(settings.orders_per_minute),
        "OrdersAtOnce": str(settings.orders_at_once),
        "RpcRequestsPerSecond": str(settings.rpc_requests_per_second or ""),
        "GatewayRate": str(settings.requests_per_second),
        "GatewayBurst": str(2 * settings.requests_per_second),
        "AccessLogs": _access_logs(target),
        "LogLevel": settings.log_level,
    }
    template = _functions_template(target, settings, built, *_upload(target, built))
    functions = deploy_stack(target.client("cloudformation"), target.stack(), template, parameters, target.poll_seconds)
    outputs = data | functions
    monitoring.deploy_monitoring(target, outputs, settings.alarm_email)
    if target.on_ministack:
        api_gateway = target.client("apigateway")
        ministack_gaps.ensure_gateway_responses(api_gateway, outputs["RestAPIId"], _API_STAGE, built.template)
    return Deployment(
        rest_url=api_url(target, "http", outputs["RestAPIId"]),
        websocket_url=api_url(target, "ws", outputs["WebsocketAPIId"]),
        wallet=wallet.address,
        outputs=outputs,
    )


def deploy_data(target: Target, wallet: str = "") -> dict[str, str]:
    """Bring the data stack to infra/deployment/data.yaml; returns its outputs. `wallet` is as in DeploymentSettings."""
    template = (PROJECT / "infra" / "deployment" / "data.yaml").read_text()
    client = target.client("cloudformation")
    wallet_key = "made" if wallet == OWN_KEY else "none"
    parameters = {"Stage": target.stage, "Transport": target.transport, "WalletKey": wallet_key}
    outputs = deploy_stack(client, target.stack("data"), template, parameters, target.poll_seconds)
    for table in ("OrdersTable", "ConnectionsTable", "ControlTable"):
        ministack_gaps.ensure_time_to_live(target.client("dynamodb"), outputs[table])
    return outputs


def wallet_of(target: Target, settings: DeploymentSettings, data: dict[str, str]) -> DeployedWallet:
    """The wallet that the settings choose; `data` are the data stack's outputs. Raises WalletError, boto3's errors."""
    return deployed_wallet(settings.wallet, target.stage, target.client, data)


def _access_logs(target: Target) -> str:
    """Whether the account lets API Gateway write logs: with no role for that, a stage with access logs is refused."""
    return "on" if target.client("apigateway").get_account().get("cloudwatchRoleArn") else "off"


def _upload(target: Target, built: package.Package) -> tuple[str, str]:
    """Upload the zip; returns its bucket and key."""
    account = target.client("sts").get_caller_identity()["Account"]
    bucket, key = f"fillrate-{target.stage}-artifacts-{account}-{target.region}", f"{built.digest}.zip"
    s3 = target.client("s3")
    artifacts.ensure_bucket(s3, bucket, account, target.region, over_tls=target.transport == "https")
    artifacts.upload(s3, bucket, key, built.archive.read_bytes(), alone=target.endpoint_url is not None)
    return bucket, key


def _functions_template(
    target: Target, settings: DeploymentSettings, built: package.Package, bucket: str, key: str
) -> str:
    """The packaged template with its code's place, or its URL where it is too long to be sent itself."""
    template = json.loads(json.dumps(built.template))
    resources = template["Resources"]
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    # A number in the template itself: MiniStack compares what a Ref to a parameter gives it as text.
    queue = resources["ExecuteOrder"]["Properties"]["Events"]["ExecuteOrderSqsEventSource"]["Properties"]
    queue["ScalingConfig"] = {"MaximumConcurrency": settings.orders_at_once}
    if target.on_ministack:
        ministack_gaps.without_websocket_deployment(resources)
        ministack_gaps.without_kms_conditions(resources)
    if target.stage == "local":
        guarded_routes.open_all(template)
    else:
        guarded_routes.check(template)
    text = json.dumps(template, separators=(",", ":"))
    if len(text) <= 51_200:
        return text
    s3 = target.client("s3")
    s3.put_object(Bucket=bucket, Key=f"{built.digest}.json", Body=text.encode())
    return f"{s3.meta.endpoint_url}/{bucket}/{built.digest}.json"


def api_url(target: Target, scheme: str, api: str) -> str:
    """The address of the deployed API `api`; `scheme` is http or ws, secure on AWS."""
    if target.endpoint_url:
        return f"{scheme}://{target.gateway_host}/_aws/execute-api/{api}/{_API_STAGE}"
    return f"{scheme}s://{api}.execute-api.{target.region}.amazonaws.com/{_API_STAGE}"


def command_line(program: str) -> argparse.ArgumentParser:
    """The options of a deploy; docs/deploy.md explains them."""
    parser = argparse.ArgumentParser(prog=program, description="Deploy Fillrate.")
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--endpoint-url", default=os.environ.get("AWS_ENDPOINT_URL"), help="an emulator's address")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION"))
    parser.add_argument("--solana-rpc-url", default=os.environ.get("SOLANA_RPC_URL"))
    parser.add_argument(
        "--orders-per-minute", type=int, default=100, help="at most so many orders start in any 60 s (default: 100)"
    )
    parser.add_argument(
        "--orders-at-once", type=int, default=10, help="at most so many orders execute at once (default: 10)"
    )
    parser.add_argument(
        "--rpc-requests-per-second",
        type=_pace,
        help="at most so many requests of the whole stage to each Solana node, over 10 s (default: any number)",
    )
    parser.add_argument(
        "--requests-per-second",
        type=int,
        default=200,
        help="at most so many requests of all clients, twice as many in a burst (default: 200)",
    )
    parser.add_argument(
        "--wallet",
        default=os.environ.get("WALLET", ""),
        help="kms (a key of the stack's own), kms:<key id, ARN or alias>, secret:<name or ARN>, file:<path> (local)",
    )
    parser.add_argument(
        "--alarm-email", default=os.environ.get("ALARM_EMAIL", ""), help="who is told when an alarm rings"
    )
    parser.add_argument("--pools", type=Path, help='pool registry to seed: [{"address", "program"}]')
    return parser


def _pace(text: str) -> Decimal:
    """Requests a second, as --rpc-requests-per-second has them. Raises argparse.ArgumentTypeError."""
    try:
        pace = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not pace.is_finite() or pace <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return pace


def settings_from(options: argparse.Namespace) -> DeploymentSettings:
    """What the functions are told, from the command line. Raises DeployError, WalletError if something is missing."""
    rpc_url = options.solana_rpc_url or _DEFAULT_RPC_URLS.get(options.stage)
    if rpc_url is None:
        raise DeployError("no Solana RPC address: set SOLANA_RPC_URL or give --solana-rpc-url")
    wallet = check_option(options.wallet, options.stage)
    if options.rpc_requests_per_second is not None:
        try:
            shares_of(options.rpc_requests_per_second, options.orders_at_once)
        except ValueError as error:
            raise DeployError(f"{error}: lower --orders-at-once, or get more of the node") from None
    return DeploymentSettings(
        rpc_url,
        wallet,
        options.orders_per_minute,
        options.orders_at_once,
        options.requests_per_second,
        options.rpc_requests_per_second,
        alarm_email=options.alarm_email,
    )


def seed_pools(target: Target, table: str, registry: Path | None) -> None:
    """Make the table of pools hold what `registry` lists, if one is given. Raises RegistryError."""
    if registry is not None:
        pool_registry.seed(target.client("dynamodb"), table, registry)


def main(arguments: list[str] | None = None) -> int:
    """The command line; prints the deployed addresses and names as JSON."""
    parser = command_line("python -m infra.deploy")
    parser.add_argument("--dependencies", choices=("lambda", "host"), help="whose wheels to pack (default: as needed)")
    options = parser.parse_args(arguments)
    try:
        deployment = _deploy_from(options)
    except (
        DeployError,
        OperationError,
        WalletError,
        StackError,
        package.PackageError,
        pool_registry.RegistryError,
        guarded_routes.UnguardedRoute,
    ) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    except (ClientError, BotoCoreError) as error:
        print(f"deploy: AWS refused: {error}", file=sys.stderr)
        return 1
    addresses = {"restUrl": deployment.rest_url, "wsUrl": deployment.websocket_url, "wallet": deployment.wallet}
    print(json.dumps(addresses | deployment.outputs, indent=2))
    return 0


def _deploy_from(options: argparse.Namespace) -> Deployment:
    settings = settings_from(options)
    target = target_for(options.stage, options.endpoint_url, options.region)
    dependencies = options.dependencies or (package.local_dependencies() if target.on_ministack else "lambda")
    built = package.build(target.stage, PROJECT / "build" / target.stage, dependencies, target.region)
    deployment = deploy(target, settings, built)
    seed_pools(target, deployment.outputs["PoolsTable"], options.pools)
    return deployment


if __name__ == "__main__":
    raise SystemExit(main())
