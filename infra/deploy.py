"""Deploys Fillrate to MiniStack, LocalStack or AWS; only the endpoint, the stage and the credentials differ.

`python -m infra.deploy --stage local|localstack|prod`: the data stack first (infra/data.yaml), then the functions
(Chalice's package merged with infra/functions.yaml), then the pool registry. What is there already is updated, and no
data is touched. See docs/deploy.md.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from localstack_client.session import Session as LocalSession

from infra import package, pool_registry
from infra.cloudformation import StackError, deploy_stack

Stage = Literal["local", "localstack", "prod"]
STAGES: tuple[Stage, ...] = ("local", "localstack", "prod")

_DEFAULT_ENDPOINTS = {"local": "http://127.0.0.1:4566", "localstack": "http://localhost.localstack.cloud:4566"}
_DEFAULT_RPC_URLS = {"local": "http://127.0.0.1:8899", "localstack": "http://host.docker.internal:8899"}
_API_STAGE = "api"  # api_gateway_stage in .chalice/config.json


class DeployError(Exception):
    """Nothing can be deployed this way; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to deploy. `endpoint_url` is an emulator's, None on AWS; `session` boto3's or localstack-client's."""

    stage: Stage
    session: Any
    region: str
    endpoint_url: str | None = None

    @property
    def gateway_host(self) -> str:
        """The emulator's host:port, under which it serves every API; empty on AWS."""
        return urlsplit(self.endpoint_url).netloc if self.endpoint_url else ""

    @property
    def poll_seconds(self) -> float:
        """How often to look at a stack: an emulator needs a second for one, AWS minutes."""
        return 0.1 if self.endpoint_url else 3.0

    def client(self, service: str) -> Any:
        """A client of `service` there."""
        if self.endpoint_url is None:
            return self.session.client(service)
        # An emulator serves buckets by path, not by host name; and one that isn't there won't come by waiting.
        config = Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 2})
        return self.session.client(service, config=config)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the functions are told besides the names of the deployed resources."""

    solana_rpc_url: str
    wallet_file: Path | None = None
    api_key_sha256: str = ""
    orders_per_minute: int = 100
    orders_at_once: int = 10
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deploy leaves to be used: addresses without a trailing slash, and names."""

    rest_url: str
    websocket_url: str
    outputs: dict[str, str] = field(repr=False)

    @property
    def worker_function(self) -> str:
        """The name of the Lambda that executes orders."""
        return self.outputs["WorkerFunction"]


def target_for(stage: Stage, endpoint_url: str | None = None, region: str | None = None) -> Target:
    """The session for `stage`: localstack-client's for the emulators, the caller's own AWS credentials for prod."""
    if stage == "prod":
        session = boto3.Session(region_name=region)
        if session.region_name is None:
            raise DeployError("no AWS region: set AWS_REGION or give --region")
        return Target(stage, session, session.region_name, endpoint_url)
    endpoint = endpoint_url or _DEFAULT_ENDPOINTS[stage]
    region = region or "us-east-1"
    # localstack-client lets AWS_ENDPOINT_URL win over the host it is given.
    shadowed = os.environ.pop("AWS_ENDPOINT_URL", None)
    try:
        local = LocalSession("test", "test", region_name=region, localstack_host=urlsplit(endpoint).netloc)
    finally:
        if shadowed is not None:
            os.environ["AWS_ENDPOINT_URL"] = shadowed
    return Target(stage, local, region, endpoint)


def deploy(target: Target, settings: Settings, built: package.Package) -> Deployment:
    """Bring both stacks of `target` to the present code. Raises StackError, or boto3's errors."""
    data = deploy_data(target)
    parameters = data | {
        "Stage": target.stage,
        "SolanaRpcUrl": settings.solana_rpc_url,
        "GatewayHost": target.gateway_host,
        "WalletFile": str(settings.wallet_file or ""),
        "ApiKeySha256": settings.api_key_sha256,
        "OrdersPerMinute": str(settings.orders_per_minute),
        "LogLevel": settings.log_level,
    }
    bucket = _artifacts_bucket(target)
    template = _functions_template(target, settings, built, bucket, _upload(target, bucket, built))
    functions = deploy_stack(
        target.client("cloudformation"), f"fillrate-{target.stage}", template, parameters, target.poll_seconds
    )
    outputs = data | functions
    if target.stage == "local":
        _ensure_gateway_responses(target.client("apigateway"), outputs["RestAPIId"], built.template)
    return Deployment(
        rest_url=api_url(target, "http", outputs["RestAPIId"]),
        websocket_url=api_url(target, "ws", outputs["WebsocketAPIId"]),
        outputs=outputs,
    )


def deploy_data(target: Target) -> dict[str, str]:
    """Bring the data stack to infra/data.yaml; returns its outputs."""
    template = (package.PROJECT / "infra" / "data.yaml").read_text()
    client = target.client("cloudformation")
    outputs = deploy_stack(client, f"fillrate-{target.stage}-data", template, {}, target.poll_seconds)
    _ensure_time_to_live(target.client("dynamodb"), outputs["OrdersTable"])
    return outputs


def _ensure_time_to_live(dynamodb: Any, table: str) -> None:
    """What the template asks for, where CloudFormation is emulated without it."""
    state = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]["TimeToLiveStatus"]
    if state == "DISABLED":
        wish = {"Enabled": True, "AttributeName": "expiresAt"}
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wish)


def _ensure_gateway_responses(api_gateway: Any, api: str, template: dict[str, Any]) -> None:
    """What the template says of the gateway's own answers, which MiniStack doesn't read out of the API's definition."""
    present = {item["responseType"]: item for item in api_gateway.get_gateway_responses(restApiId=api)["items"]}
    wanted = template["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]
    changed = False
    for response_type, response in wanted.items():
        headers = response["ResponseParameters"]["Headers"]
        wish = {
            "responseParameters": {f"gatewayresponse.header.{name}": value for name, value in headers.items()},
            "responseTemplates": response["ResponseTemplates"],
            **({"statusCode": response["StatusCode"]} if "StatusCode" in response else {}),
        }
        if any(present.get(response_type, {}).get(name) != value for name, value in wish.items()):
            api_gateway.put_gateway_response(restApiId=api, responseType=response_type, **wish)
            changed = True
    if changed:
        api_gateway.create_deployment(restApiId=api, stageName=_API_STAGE)


def _artifacts_bucket(target: Target) -> str:
    """The bucket that CloudFormation reads the code from, made if missing."""
    account = target.client("sts").get_caller_identity()["Account"]
    bucket = f"fillrate-{target.stage}-artifacts-{account}-{target.region}"
    s3 = target.client("s3")
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        # us-east-1 is the one region that S3 doesn't want named.
        place = {"LocationConstraint": target.region}
        s3.create_bucket(
            Bucket=bucket, **({} if target.region == "us-east-1" else {"CreateBucketConfiguration": place})
        )
    return bucket


def _upload(target: Target, bucket: str, built: package.Package) -> str:
    """Upload the zip unless the same one is there; returns its key."""
    key = f"{built.digest}.zip"
    s3 = target.client("s3")
    present = {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}
    if key not in present:
        s3.put_object(Bucket=bucket, Key=key, Body=built.archive.read_bytes())
    if target.endpoint_url:
        # An emulator keeps them in memory; on AWS a rollback wants the former one.
        for old in present - {key}:
            s3.delete_object(Bucket=bucket, Key=old)
    return key


def _functions_template(target: Target, settings: Settings, built: package.Package, bucket: str, key: str) -> str:
    """The packaged template with its code's place, or its URL where it is too long to be sent itself."""
    template = json.loads(json.dumps(built.template))
    resources = template["Resources"]
    for resource in resources.values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    # A number in the template itself: MiniStack compares what a Ref to a parameter gives it as text.
    queue = resources["ExecuteOrder"]["Properties"]["Events"]["ExecuteOrderSqsEventSource"]["Properties"]
    queue["ScalingConfig"] = {"MaximumConcurrency": settings.orders_at_once}
    if target.stage == "local":
        _without_websocket_deployment(resources)
    text = json.dumps(template, separators=(",", ":"))
    if len(text) <= 51_200:
        return text
    s3 = target.client("s3")
    s3.put_object(Bucket=bucket, Key=f"{built.digest}.json", Body=text.encode())
    return f"{s3.meta.endpoint_url}/{bucket}/{built.digest}.json"


def _without_websocket_deployment(resources: dict[str, Any]) -> None:
    """MiniStack has no AWS::ApiGatewayV2::Deployment: let the stage deploy itself."""
    resources.pop("WebsocketAPIDeployment", None)
    stage = resources["WebsocketAPIStage"]["Properties"]
    stage.pop("DeploymentId", None)
    stage["AutoDeploy"] = True


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
        "--api-key-sha256",
        default=os.environ.get("API_KEY_SHA256", ""),
        help="digest of the key that clients must send",
    )
    parser.add_argument(
        "--orders-per-minute", type=int, default=100, help="at most so many orders start in any 60 s (default: 100)"
    )
    parser.add_argument(
        "--orders-at-once", type=int, default=10, help="at most so many orders execute at once (default: 10)"
    )
    parser.add_argument("--wallet-file", type=Path, help="solana-keygen file to sign with (local stages)")
    parser.add_argument("--pools", type=Path, help='pool registry to seed: [{"address", "program"}]')
    return parser


def settings_from(options: argparse.Namespace) -> Settings:
    """What the functions are told, from the command line. Raises DeployError if something is missing."""
    rpc_url = options.solana_rpc_url or _DEFAULT_RPC_URLS.get(options.stage)
    if rpc_url is None:
        raise DeployError("no Solana RPC address: set SOLANA_RPC_URL or give --solana-rpc-url")
    if options.stage != "local" and not options.api_key_sha256:
        raise DeployError("no API key: give the SHA-256 of one as API_KEY_SHA256 or --api-key-sha256")
    wallet = options.wallet_file.absolute() if options.wallet_file else None
    return Settings(rpc_url, wallet, options.api_key_sha256, options.orders_per_minute, options.orders_at_once)


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
    except (DeployError, StackError, package.PackageError, pool_registry.RegistryError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    except (ClientError, BotoCoreError) as error:
        print(f"deploy: AWS refused: {error}", file=sys.stderr)
        return 1
    print(
        json.dumps({"restUrl": deployment.rest_url, "wsUrl": deployment.websocket_url} | deployment.outputs, indent=2)
    )
    return 0


def _deploy_from(options: argparse.Namespace) -> Deployment:
    settings = settings_from(options)
    target = target_for(options.stage, options.endpoint_url, options.region)
    dependencies = options.dependencies or (package.local_dependencies() if target.stage == "local" else "lambda")
    built = package.build(target.stage, package.PROJECT / "build" / target.stage, dependencies, target.region)
    deployment = deploy(target, settings, built)
    seed_pools(target, deployment.outputs["PoolsTable"], options.pools)
    return deployment


if __name__ == "__main__":
    raise SystemExit(main())
