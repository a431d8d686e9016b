"""Where a stage is: on AWS, or on an emulator."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from localstack_client.session import Session as LocalSession

from operations.errors import NoStage

Stage = Literal["local", "localstack", "prod"]
STAGES: tuple[Stage, ...] = ("local", "localstack", "prod")

_DEFAULT_ENDPOINTS = {"local": "http://127.0.0.1:4566", "localstack": "http://localhost.localstack.cloud:4566"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a stage is. `endpoint_url` is an emulator's, None on AWS; `session` boto3's or localstack-client's."""

    stage: Stage
    session: Any
    region: str
    endpoint_url: str | None = None

    @property
    def gateway_host(self) -> str:
        """The emulator's host:port, under which it serves every API; empty on AWS."""
        return urlsplit(self.endpoint_url).netloc if self.endpoint_url else ""

    @property
    def transport(self) -> str:
        """How its endpoints are reached: https, or an emulator's http."""
        return urlsplit(self.endpoint_url).scheme if self.endpoint_url else "https"

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
        config = Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 2})
        return self.session.client(service, config=config)


def target_for(stage: Stage, endpoint_url: str | None = None, region: str | None = None) -> Target:
    """The session for `stage`: localstack-client's wherever there is an emulator's `endpoint_url` (the stages but prod
    have a default), else the caller's own AWS credentials. Raises NoStage where no region is known.
    """
    endpoint = endpoint_url or _DEFAULT_ENDPOINTS.get(stage)
    if endpoint is None:
        session = boto3.Session(region_name=region)
        if session.region_name is None:
            raise NoStage("no AWS region: set AWS_REGION or give --region")
        return Target(stage, session, session.region_name)
    region = region or "us-east-1"
    # localstack-client lets AWS_ENDPOINT_URL win over the host it is given.
    shadowed = os.environ.pop("AWS_ENDPOINT_URL", None)
    try:
        local = LocalSession("test", "test", region_name=region, localstack_host=urlsplit(endpoint).netloc)
    finally:
        if shadowed is not None:
            os.environ["AWS_ENDPOINT_URL"] = shadowed
    return Target(stage, local, region, endpoint)
