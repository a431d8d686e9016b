"""Where a stage is: on AWS, or on an emulator."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from localstack_client.session import Session as LocalSession

from operations.errors import NoStage

Stage = Literal["local", "localstack", "prod"]
STAGES: tuple[Stage, ...] = ("local", "localstack", "prod")

_LOCALSTACK = "http://localhost.localstack.cloud:4566"
# Where the local stack is, as its resources' names and its functions have it.
LOCAL_REGION = "us-east-1"
NO_LOCAL_STACK = "no local stack runs here: start it with `make up`, or name one with --endpoint-url"


class EmulatorCredentials(NamedTuple):
    """What an emulator's requests are signed with."""

    access_key_id: str
    secret_access_key: str

    @classmethod
    def of(cls, stack: Mapping[str, str]) -> Self:
        """Those of a local stack, from its description in stack.json. Raises NoStage where it has none."""
        try:
            return cls(stack["awsAccessKeyId"], stack["awsSecretAccessKey"])
        except KeyError:
            raise NoStage("the local stack was started by an earlier version: run `make up` again") from None

    @property
    def variables(self) -> dict[str, str]:
        """As AWS's libraries take them from the environment."""
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}


# LocalStack's own, which it takes from everybody.
OPEN_CREDENTIALS = EmulatorCredentials("test", "test")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a stage is. `endpoint_url` is an emulator's, None on AWS; `session` boto3's or localstack-client's.

    `credentials` are an emulator's; on AWS they are the session's own.
    """

    stage: Stage
    session: Any
    region: str
    endpoint_url: str | None = None
    credentials: EmulatorCredentials = field(default=OPEN_CREDENTIALS, repr=False)

    @property
    def gateway_host(self) -> str:
        """The emulator's host:port, under which it serves every API; empty on AWS."""
        return urlsplit(self.endpoint_url).netloc if self.endpoint_url else ""

    @property
    def transport(self) -> str:
        """How its endpoints are reached: https, or an emulator's http."""
        return urlsplit(self.endpoint_url).scheme if self.endpoint_url else "https"

    @property
    def dns_suffix(self) -> str:
        """What the host names of AWS's services end with there: CloudFormation's AWS::URLSuffix."""
        return "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"

    @property
    def on_ministack(self) -> bool:
        """Whether it is MiniStack, with its gaps: any emulator but the one that the stage `localstack` is for."""
        return self.endpoint_url is not None and self.stage != "localstack"

    @property
    def poll_seconds(self) -> float:
        """How often to look at a stack: an emulator needs a second for one, AWS minutes."""
        return 0.1 if self.endpoint_url else 3.0

    def stack(self, part: str = "") -> str:
        """The name of one of its CloudFormation stacks: `data`, `monitoring`, or the functions' own."""
        return f"fillrate-{self.stage}-{part}".removesuffix("-")

    def client(self, service: str) -> Any:
        """A client of `service` there."""
        if self.endpoint_url is None:
            return self.session.client(service)
        # An emulator serves buckets by path, not by host name; and one that isn't there won't come by waiting.
        # It is on this machine, or named: no proxy lies between, and no profile of the developer's says anything.
        config = Config(
            s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 2}, proxies={}
        )
        with _without_variables("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            return self.session.client(service, config=config)


def target_for(
    stage: Stage,
    endpoint_url: str | None = None,
    region: str | None = None,
    credentials: EmulatorCredentials | None = None,
) -> Target:
    """The session for `stage`: localstack-client's wherever there is an emulator's `endpoint_url` (`localstack` has a
    default), else the caller's own AWS credentials. An emulator's `credentials` are, if not given, the ones that
    AWS_ACCESS_KEY_ID or AWS_SHARED_CREDENTIALS_FILE names, and those of LocalStack else and for the stage `localstack`.

    Raises NoStage where no region is known, or `local` has no endpoint.
    """
    endpoint = endpoint_url or (_LOCALSTACK if stage == "localstack" else None)
    if endpoint is None:
        if stage == "local":
            raise NoStage(NO_LOCAL_STACK)
        session = boto3.Session(region_name=region)
        if session.region_name is None:
            raise NoStage("no AWS region: set AWS_REGION or give --region")
        if session.region_name not in _regions(session):
            raise NoStage(
                f"{session.region_name!r} is no AWS region that boto3 {boto3.__version__} knows: give --region, such "
                "as eu-central-1"
            )
        return Target(stage, session, session.region_name)
    region = region or LOCAL_REGION
    credentials = credentials or (OPEN_CREDENTIALS if stage == "localstack" else _of_the_environment())
    # localstack-client lets AWS_ENDPOINT_URL win over the host it is given.
    with _without_variables("AWS_ENDPOINT_URL"):
        local = LocalSession(*credentials, region_name=region, localstack_host=urlsplit(endpoint).netloc)
    return Target(stage, local, region, endpoint, credentials)


def target_of(
    stack: Mapping[str, str] | None, stage: Stage, endpoint_url: str | None = None, region: str | None = None
) -> Target:
    """As target_for, where `stack` describes the local stack that runs here: `local` is that one, in whatever
    environment, unless an `endpoint_url` is named; and one that is named by its address is signed with its credentials.
    """
    endpoint = stack.get("awsEndpoint") if stack is not None else None
    if stack is not None and endpoint and (endpoint_url == endpoint or (endpoint_url is None and stage == "local")):
        return target_for(stage, endpoint, LOCAL_REGION, EmulatorCredentials.of(stack))
    return target_for(stage, endpoint_url, region)


def endpoint_of_the_environment(stage: Stage) -> str | None:
    """AWS_ENDPOINT_URL, which says nothing about `local`: that is the stack that runs here."""
    return None if stage == "local" else os.environ.get("AWS_ENDPOINT_URL") or None


def _regions(session: boto3.Session) -> set[str]:
    """Every region of AWS, of all its partitions."""
    partitions = session.get_available_partitions()
    return {region for partition in partitions for region in session.get_available_regions("dynamodb", partition)}


@contextmanager
def _without_variables(*names: str) -> Iterator[None]:
    shadowed = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(shadowed)


def _of_the_environment() -> EmulatorCredentials:
    if not {"AWS_ACCESS_KEY_ID", "AWS_SHARED_CREDENTIALS_FILE"} & os.environ.keys():
        # The developer's own, of ~/.aws, are for AWS.
        return OPEN_CREDENTIALS
    found = boto3.Session().get_credentials()
    return EmulatorCredentials(found.access_key, found.secret_key) if found is not None else OPEN_CREDENTIALS
