"""Deploys Fillrate to MiniStack, LocalStack or AWS; only the endpoint, the stage and the credentials differ.

`python -m infra.deploy --stage local|localstack|prod`: the data stack first (data.yaml), then the functions (Chalice's
package merged with functions.yaml), then the pool registry. What is there already is updated, and no data is touched.
See docs/deploy.md.
"""

import argparse
import ipaddress
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.explorer import checked_template
from chalicelib.settings import node_urls
from chalicelib.solana.pacing import shares_of, workers_for
from chalicelib.solana.wallet_choice import WalletKind
from infra.deployment import (
    artifacts,
    guarded_routes,
    ministack_gaps,
    monitoring,
    no_websocket,
    package,
    websocket_deployment,
)
from infra.deployment.cloudformation import (
    StackError,
    await_indexes,
    deploy_new_indexes,
    deploy_stack,
    deployed_template,
    drop_former_indexes,
    parse,
    tables_of,
    unconditional_outputs,
)
from infra.deployment.new_indexes import adds_indexes
from infra.deployment.ownership import check_owner, note_owner
from infra.deployment.waf import deploy_firewall
from infra.deployment.wallet import (
    OWN_KEY,
    DeployedWallet,
    WalletError,
    check_emulated_kms,
    check_option,
    deployed_wallet,
)
from infra.project import PROJECT
from operations import pool_registry
from operations.errors import NoStage, OperationError
from operations.record import record_of
from operations.stacks import describe, worker_environment
from operations.stacks import outputs as outputs_of
from operations.target import NO_LOCAL_STACK, STAGES, Stage, Target, endpoint_of_the_environment, target_of

# Where a container finds the chain that runs on the machine itself.
_LOCALSTACKS_RPC_URL = "http://host.docker.internal:8899"
# On these the nodes' addresses hold no provider's key.
_ON_EMULATORS = ("local", "localstack")
# The longest that SQS delays a message.
MOST_SECONDS_BETWEEN_LOOKS = 900
SOLANA_EXPLORER = "https://explorer.solana.com/tx/{txHash}"
# The description of the local stack that runs in this checkout.
_STACK = PROJECT / ".local" / "stack.json"
_API_STAGE = "api"  # api_gateway_stage in .chalice/config.json


class DeployError(Exception):
    """Nothing can be deployed this way; the text says what to change."""


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Which transactions are built, and what they are sent to besides the nodes: as chalicelib/settings.py reads it."""

    transaction_version: str = "1"
    senders: str = field(default="", repr=False)  # may hold providers' keys
    tip_lamports: str = "0"
    tip_accounts: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """By TRANSACTION_VERSION, SENDERS, TIP_LAMPORTS and TIP_ACCOUNTS; those that are not set are as by default."""
        names = [each.name for each in fields(cls)]
        told = {name: environment.get(name.upper(), "") for name in names}
        return cls(**{name: value for name, value in told.items() if value})


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """What the functions are told in addition to the names of the deployed resources."""

    solana_rpc_url: str = field(repr=False)  # may hold a provider's key
    wallet: str  # as `--wallet` says it, see infra/deployment/wallet.py
    orders_per_minute: int = 100
    orders_at_once: int = 10
    watch_every_seconds: int = 1
    requests_per_second: int = 200
    # Calls a second that each Solana node takes from the whole stage; None: any number.
    rpc_requests_per_second: Decimal | None = None
    # Where people look a transaction up (chalicelib/explorer.py); empty: nowhere.
    explorer_url: str = SOLANA_EXPLORER
    lanes: LaneSettings = field(default_factory=LaneSettings)
    log_level: str = "INFO"
    alarm_email: str = ""
    firewall: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deploy leaves to be used: addresses without a trailing slash, and names."""

    rest_url: str
    # None where there is no WebSocket.
    websocket_url: str | None
    # Base58; None where it can't be known here.
    wallet: str | None
    outputs: dict[str, str] = field(repr=False)

    @property
    def worker_function(self) -> str:
        """The name of the Lambda that executes orders."""
        return self.outputs["WorkerFunction"]


def deploy(target: Target, settings: DeploymentSettings, built: package.Package) -> Deployment:
    """Bring both stacks of `target` to the present code. Raises StackError, or boto3's errors."""
    # On AWS there is one; an emulator may lack it.
    websocket = target.endpoint_url is None or no_websocket.has_websocket(target.client("apigatewayv2"))
    role = worker_role(target)
    can_drop = former_indexes_go(target)
    data = deploy_data(target, settings.wallet, role, secret_nodes(target, settings))
    note_owner(target, data, PROJECT)  # what fails from here on is this checkout's to deploy again
    wallet = wallet_of(target, settings, data)
    parameters = {
        **{name: value for name, value in data.items() if name in built.template["Parameters"]},
        **wallet.parameters,
        "Stage": target.stage,
        **nodes_of(target, settings, data),
        "GatewayHost": target.gateway_host,
        "WorkerRole": role,
        "OrdersPerMinute": str(settings.orders_per_minute),
        "OrdersAtOnce": str(settings.orders_at_once),
        "WatchEverySeconds": str(settings.watch_every_seconds),
        "RpcRequestsPerSecond": str(settings.rpc_requests_per_second or ""),
        "GatewayRate": str(settings.requests_per_second),
        "GatewayBurst": str(2 * settings.requests_per_second),
        "HealthRate": str(max(10, settings.requests_per_second // 20)),
        "AccessLogs": _access_logs(target),
        "ExplorerUrl": settings.explorer_url,
        "TransactionVersion": settings.lanes.transaction_version,
        "Senders": settings.lanes.senders,
        "TipLamports": settings.lanes.tip_lamports,
        "TipAccounts": settings.lanes.tip_accounts,
        "LogLevel": settings.log_level,
        "PackOrders": pack_orders(deployed_environment(target)),
    }
    wanted = json.loads(json.dumps(built.template))
    if not websocket:
        no_websocket.leave_out(wanted)
    template = _functions_template(target, settings, wanted, built.digest, *_upload(target, built))
    former = deployed_wallet_of(target)
    functions = deploy_stack(
        target.client("cloudformation"),
        target.stack(),
        template,
        parameters,
        target.poll_seconds,
        needed=unconditional_outputs(wanted),
    )
    record_wallet(target, data, former, wallet)
    if can_drop:
        drop_indexes(target)
    outputs = data | functions
    monitoring.deploy_monitoring(target, outputs, settings.alarm_email)
    if settings.firewall:
        deploy_firewall(target, outputs["RestAPIId"])
    if target.on_ministack:
        api_gateway = target.client("apigateway")
        ministack_gaps.ensure_gateway_responses(api_gateway, outputs["RestAPIId"], _API_STAGE, built.template)
        ministack_gaps.save_state(target)
    return Deployment(
        rest_url=api_url(target, "http", outputs["RestAPIId"]),
        websocket_url=api_url(target, "ws", outputs["WebsocketAPIId"]) if websocket else None,
        wallet=wallet.address,
        outputs=outputs,
    )


def worker_role(target: Target) -> str:
    """The name of the worker's role, which the wallet key's policy names: one of its own in each region."""
    return f"fillrate-{target.stage}-{target.region}-execute-order"


def deployed_environment(target: Target) -> dict[str, str] | None:
    """What the deployed worker is told, None where none is deployed."""
    try:
        return worker_environment(target)
    except (NoStage, KeyError):  # a stack that never came to be has no outputs
        return None


def pack_orders(former: Mapping[str, str] | None) -> str:
    """Whether the functions may write packed orders, as they are told it: while a deploy runs those of before are at
    work, so these must be able to read them. `former` is what the worker of before was told, None without one.
    """
    return "true" if former is None or "PACK_ORDERS" in former else "false"


def deployed_wallet_of(target: Target) -> dict[str, str] | None:
    """What the deployed worker signs with, None where none is deployed; for `record_wallet`."""
    variables = deployed_environment(target)
    if variables is None:
        return None
    return {"wallet": variables["WALLET"], "address": variables.get("WALLET_ADDRESS", "")}


def record_wallet(
    target: Target, data: Mapping[str, str], former: dict[str, str] | None, wallet: DeployedWallet
) -> None:
    """Tell the operators' record of a deploy that made the worker sign with another wallet."""
    present = {"wallet": wallet.setting, "address": wallet.address or ""}
    if present != former:
        record_of(target, data).add("wallets", "deploy", "stage", former, present)


def secret_nodes(target: Target, settings: DeploymentSettings) -> str:
    """The Solana nodes' URLs where the stage keeps them as a secret: they hold providers' keys. Else empty."""
    return "" if target.stage in _ON_EMULATORS else settings.solana_rpc_url


def nodes_of(target: Target, settings: DeploymentSettings, data: dict[str, str]) -> dict[str, str]:
    """Where the functions find the Solana nodes, as parameters of infra/deployment/functions.yaml."""
    secret = data.get("SolanaRpcSecretArn", "")
    if not secret:
        return {"SolanaRpcUrl": settings.solana_rpc_url}
    versions = target.client("secretsmanager").describe_secret(SecretId=secret)["VersionIdsToStages"]
    current = next(version for version, stages in versions.items() if "AWSCURRENT" in stages)
    return {"SolanaRpcSecretArn": secret, "SolanaRpcSecretVersion": current}


def deploy_data(target: Target, wallet: str = "", role: str = "", nodes: str = "") -> dict[str, str]:
    """Bring the data stack to infra/deployment/data.yaml; returns its outputs.

    `wallet` is as in DeploymentSettings, `role` the name of the role that signs with a key that this stack makes,
    `nodes` the URLs that it keeps as a secret.
    """
    template = _data_template()
    client = target.client("cloudformation")
    if wallet == OWN_KEY and target.endpoint_url:
        present = describe(client, target.stack("data"))
        if present is None or "WalletKeyArn" not in outputs_of(present):
            check_emulated_kms(target.client("kms"))
    wallet_key = "made" if wallet == OWN_KEY else "none"
    parameters = {
        "Stage": target.stage,
        "Transport": target.transport,
        "WalletKey": wallet_key,
        "WorkerRole": role,
        "SolanaRpcUrl": nodes,
    }
    dynamodb = target.client("dynamodb")
    outputs = deploy_stack(
        client,
        target.stack("data"),
        deploy_new_indexes(client, dynamodb, target.stack("data"), template, target.poll_seconds),
        parameters,
        target.poll_seconds,
        needed=[*unconditional_outputs(parse(template)), *(["WalletKeyArn"] if wallet_key == "made" else [])],
    )
    await_indexes(dynamodb, tables_of(parse(template), outputs), target.poll_seconds)
    for table in ("OrdersTable", "ConnectionsTable", "ControlTable"):
        ministack_gaps.ensure_time_to_live(dynamodb, outputs[table])
    return outputs


def former_indexes_go(target: Target) -> bool:
    """Whether this deploy, which begins now, may end by dropping the indexes that only functions of before ask for.

    Not where it makes new ones in their place: until the next deploy the former functions can still be returned to.
    """
    present = deployed_template(target.client("cloudformation"), target.stack("data"))
    return present is not None and not adds_indexes(present, parse(_data_template()))


def drop_indexes(target: Target) -> None:
    """Drop the data stack's indexes that infra/deployment/data.yaml no longer has. Raises StackError."""
    client, dynamodb = target.client("cloudformation"), target.client("dynamodb")
    drop_former_indexes(client, dynamodb, target.stack("data"), _data_template(), target.poll_seconds)


def _data_template() -> str:
    return (PROJECT / "infra" / "deployment" / "data.yaml").read_text()


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
    target: Target, settings: DeploymentSettings, template: dict[str, Any], digest: str, bucket: str, key: str
) -> str:
    """The packaged `template` with its code's place, or its URL where it is too long to be sent itself.

    `digest` is of the code.
    """
    resources = template["Resources"]
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    # A number in the template itself: MiniStack compares what a Ref to a parameter gives it as text.
    queue = resources["ExecuteOrder"]["Properties"]["Events"]["ExecuteOrderSqsEventSource"]["Properties"]
    queue["ScalingConfig"] = {"MaximumConcurrency": workers_for(settings.orders_at_once)}
    if "WebsocketAPI" in resources:
        websocket_deployment.follow_routes(resources)
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
    s3.put_object(Bucket=bucket, Key=f"{digest}.json", Body=text.encode())
    return f"{s3.meta.endpoint_url}/{bucket}/{digest}.json"


def api_url(target: Target, scheme: str, api: str) -> str:
    """The address of the deployed API `api`; `scheme` is http or ws, secure on AWS."""
    if target.endpoint_url:
        return f"{scheme}://{target.gateway_host}/_aws/execute-api/{api}/{_API_STAGE}"
    return f"{scheme}s://{api}.execute-api.{target.region}.{target.dns_suffix}/{_API_STAGE}"


def command_line(program: str) -> argparse.ArgumentParser:
    """The options of a deploy; docs/deploy.md explains them."""
    parser = argparse.ArgumentParser(prog=program, description="Deploy Fillrate.")
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument("--endpoint-url", help="an emulator's address (default: AWS_ENDPOINT_URL; `local`: make up's)")
    parser.add_argument(
        "--replace",
        metavar="CHECKOUT",
        help="the path of another checkout, whose functions, wallet and pools on that emulator this deploy replaces",
    )
    parser.add_argument("--region", help="default: AWS_REGION")
    parser.add_argument("--solana-rpc-url", help="default: SOLANA_RPC_URL (`local`: make up's own chain)")
    parser.add_argument(
        "--real-node-without-keys",
        action="store_true",
        help="let stage local, which asks for no API key, trade on a node that is not on this machine",
    )
    parser.add_argument(
        "--orders-per-minute", type=int, default=100, help="at most so many orders start in any 60 s (default: 100)"
    )
    parser.add_argument(
        "--orders-at-once",
        type=int,
        default=10,
        help="so many orders of one account execute at once, and one of another account besides (default: 10)",
    )
    parser.add_argument(
        "--watch-every-seconds",
        type=_seconds_between_looks,
        default=1,
        metavar="SECONDS",
        help="so long after a look at a pair of which orders wait the next begins, 1 to 900 (default: 1)",
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
        help="kms (a key of the stack's own), kms:<key id, ARN or alias>, secret:<name or ARN>, file:<path> (local); "
        "default: WALLET (`local`: make up's own wallet)",
    )
    parser.add_argument(
        "--explorer-url",
        help="where people look a transaction up, with {txHash} in its place "
        "(default: EXPLORER_URL, and on prod explorer.solana.com)",
    )
    parser.add_argument("--alarm-email", help="who is told when an alarm rings (default: ALARM_EMAIL)")
    parser.add_argument(
        "--waf", action="store_true", help="put AWS WAF before the REST API, which costs by rule and by request"
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


def _seconds_between_looks(text: str) -> int:
    """As --watch-every-seconds has them, whole as a queue counts. Raises argparse.ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_SECONDS_BETWEEN_LOOKS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST_SECONDS_BETWEEN_LOOKS}")
    return int(text)


def target_from(options: argparse.Namespace) -> Target:
    """Where to deploy, from the command line: `local` is this checkout's own stack, unless another is named.

    Raises NoStage.
    """
    stage: Stage = options.stage
    endpoint = options.endpoint_url or endpoint_of_the_environment(stage)
    return target_of(_own_stack(), stage, endpoint, options.region or _of_the_environment(stage, "AWS_REGION"))


def _of_the_environment(stage: Stage, name: str) -> str | None:
    """A variable of the shell's, which says nothing about `local`: that is the stack that runs here, or is named."""
    return None if stage == "local" else os.environ.get(name) or None


def _means_own_stack(options: argparse.Namespace) -> bool:
    """Whether the command line means the stack that `make up` runs here."""
    own = _own_stack()
    return options.stage == "local" and own is not None and options.endpoint_url in (None, own.get("awsEndpoint"))


def _own_stack() -> dict[str, str] | None:
    """What stack.json says while `make up`'s stack runs."""
    try:
        stack = json.loads(_STACK.read_text())
    except (OSError, ValueError):
        return None
    return stack if isinstance(stack, dict) else None


def settings_from(options: argparse.Namespace) -> DeploymentSettings:
    """What the functions are told, from the command line.

    Raises NoStage where `local` is meant and doesn't run, DeployError, WalletError if something is missing.
    """
    if options.waf and (options.stage != "prod" or options.endpoint_url):
        raise DeployError("--waf is for AWS: no emulator puts a firewall before an API")
    rpc_url = _rpc_url(options)
    if options.stage == "local" and not options.real_node_without_keys:
        for url in node_urls(rpc_url):
            if not _is_loopback(url):
                raise DeployError(
                    f"stage local takes orders from anybody without a key, and {urlsplit(url).hostname} is not this "
                    "machine's own chain: take another stage, or say so with --real-node-without-keys"
                )
    wallet = check_option(_wallet(options), options.stage)
    if options.rpc_requests_per_second is not None:
        try:
            shares_of(options.rpc_requests_per_second, options.orders_at_once)
        except ValueError as error:
            raise DeployError(f"{error}: lower --orders-at-once, or get more of the node") from None
    explorer_url = options.explorer_url
    if explorer_url is None:
        explorer_url = _of_the_environment(options.stage, "EXPLORER_URL")
    if explorer_url is None:
        explorer_url = SOLANA_EXPLORER if options.stage == "prod" else ""
    try:
        _ = explorer_url and checked_template(explorer_url)
    except ValueError as error:
        raise DeployError(f"--explorer-url: {error}") from None
    return DeploymentSettings(
        rpc_url,
        wallet,
        orders_per_minute=options.orders_per_minute,
        orders_at_once=options.orders_at_once,
        watch_every_seconds=options.watch_every_seconds,
        requests_per_second=options.requests_per_second,
        rpc_requests_per_second=options.rpc_requests_per_second,
        explorer_url=explorer_url,
        lanes=LaneSettings.of(os.environ),
        alarm_email=options.alarm_email or _of_the_environment(options.stage, "ALARM_EMAIL") or "",
        firewall=options.waf,
    )


def _rpc_url(options: argparse.Namespace) -> str:
    """Raises NoStage, and DeployError where it isn't said which chain to trade on."""
    named: str | None = options.solana_rpc_url or _of_the_environment(options.stage, "SOLANA_RPC_URL")
    if named is None and _means_own_stack(options):
        named = (_own_stack() or {}).get("rpcUrl")
    if named is None and options.stage == "localstack":
        named = _LOCALSTACKS_RPC_URL
    if named is None and options.stage == "local" and not options.endpoint_url:
        raise NoStage(NO_LOCAL_STACK)
    if named is None:
        where = "give --solana-rpc-url" if options.stage == "local" else "set SOLANA_RPC_URL or give --solana-rpc-url"
        raise DeployError(f"no Solana RPC address: {where}")
    return named


def _wallet(options: argparse.Namespace) -> str:
    """As --wallet says it; empty where nothing does."""
    if options.wallet is None and _means_own_stack(options):
        return f"{WalletKind.FILE}:{_STACK.with_name('wallet.json')}"
    return options.wallet or _of_the_environment(options.stage, "WALLET") or ""


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def seed_pools(
    target: Target, outputs: Mapping[str, str], registry: Path, left_out: Callable[[str], None] | None = None
) -> int:
    """Make the table of pools hold what `registry` lists; returns how many these are.

    Raises RegistryError, of a line that is wrong too, unless `left_out` is to be told of it.
    """
    record = record_of(target, outputs)
    return pool_registry.seed(target.client("dynamodb"), outputs["PoolsTable"], registry, record, left_out)


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
    if deployment.websocket_url is None:
        print(f"deploy: {no_websocket.TOLD}", file=sys.stderr)
    addresses = {"restUrl": deployment.rest_url, "wsUrl": deployment.websocket_url, "wallet": deployment.wallet}
    print(json.dumps(addresses | deployment.outputs, indent=2))
    return 0


def _deploy_from(options: argparse.Namespace) -> Deployment:
    settings = settings_from(options)
    target = target_from(options)
    check_owner(target, PROJECT, options.replace)
    dependencies = options.dependencies or (package.local_dependencies() if target.on_ministack else "lambda")
    built = package.build(target.stage, PROJECT / "build" / target.stage, dependencies, target.region)
    deployment = deploy(target, settings, built)
    if options.pools is not None:
        seed_pools(target, deployment.outputs, options.pools)
    return deployment


if __name__ == "__main__":
    raise SystemExit(main())
