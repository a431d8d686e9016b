"""A stage `localstack` on LocalStack's core: four processes, the deploy's own command, and an API key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from chalicelib.solana.wallet import LocalWallet
from infra.local_stack.processes import Service
from infra.local_stack.stack import Layout
from infra.project import PROJECT

PYTHON = PROJECT / ".venv-localstack" / "bin" / "python"
_READY_SECONDS = 120.0


class DeployFailedError(Exception):
    """`infra.deploy` ended with an error; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Ports:
    """LocalStack's, that of the MiniStack which keeps DynamoDB, and the chain's, whose WebSocket has the next one."""

    localstack: int
    dynamodb: int
    rpc: int


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a lane lives, in a directory of its own."""

    directory: Path
    ports: Ports

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports.localstack}"

    @property
    def rpc_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.rpc}"

    @property
    def function_logs(self) -> Path:
        return self.directory / "functions"

    @property
    def wallet(self) -> Path:
        """The trading wallet, in solana-keygen's format."""
        return self._layout.wallet

    @property
    def _layout(self) -> Layout:
        return Layout(
            self.directory,
            self.ports.dynamodb,
            self.ports.rpc,
            localnet_arguments=("--slot-ms", "100"),
            stage="localstack",
        )

    def services(self) -> list[Service]:
        """In the order in which they are started."""
        return [self._layout.localnet(), self._dynamodb(), self._localstack()]

    def deploy(self, *options: str) -> dict[str, Any]:
        """Run `infra.deploy --stage localstack`; returns the JSON that it prints. Raises DeployFailedError."""
        command = [sys.executable, "-m", "infra.deploy", "--stage", "localstack", "--endpoint-url", self.endpoint]
        command += ["--solana-rpc-url", self.rpc_url, "--wallet", f"file:{self.wallet}"]
        command += ["--pools", str(self._layout.registry), "--requests-per-second", "10000", *options]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DeployFailedError(done.stderr)
        print(done.stderr, file=sys.stderr, end="")
        deployed: dict[str, Any] = json.loads(done.stdout)
        return deployed

    def _dynamodb(self) -> Service:
        """MiniStack as it is: what LocalStack forwards is signed by nobody that our front would know."""
        environment = {
            "GATEWAY_PORT": str(self.ports.dynamodb),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
        return self._service("dynamodb", [sys.executable, "-m", "ministack"], environment)

    def _localstack(self) -> Service:
        listens = f"127.0.0.1:{self.ports.localstack}"
        environment = {
            "GATEWAY_LISTEN": listens,
            "LOCALSTACK_HOST": listens,
            "FILESYSTEM_ROOT": str(self.directory / "volume"),
            # Nothing is resolved for others, downloaded, or told to anybody.
            "DNS_ADDRESS": "0",
            "DISABLE_EVENTS": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "SKIP_INFRA_DOWNLOADS": "1",
            "EAGER_SERVICE_LOADING": "0",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PROVIDER_OVERRIDE_DYNAMODB": "v2",
            "PROVIDER_OVERRIDE_DYNAMODBSTREAMS": "v2",
            "FILLRATE_DYNAMODB_URL": f"http://127.0.0.1:{self.ports.dynamodb}",
            "LAMBDA_RUNTIME_EXECUTOR": "process",
            "FILLRATE_FUNCTION_PYTHON": sys.executable,
            "FILLRATE_FUNCTION_LOGS": str(self.function_logs),
        }
        return self._service("localstack", [str(PYTHON), "-m", "localstack.runtime.main"], environment)

    def _service(self, name: str, command: list[str], environment: dict[str, str]) -> Service:
        # LocalStack deletes $TMPDIR/localstack when it starts.
        temporary = self.directory / f"{name}-tmp"
        common = {"PATH": os.defpath, "HOME": str(self.directory), "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}
        return Service(
            name=name,
            command=command,
            environment=common | environment,
            working_directory=PROJECT,
            log=self.directory / "logs" / f"{name}.log",
            pid_file=self.directory / "pids" / f"{name}.json",
        )


@contextmanager
def running(directory: Path, ports: Ports) -> Iterator[Lane]:
    """A lane whose processes run meanwhile. Raises ProcessError."""
    lane = Lane(directory, ports)
    LocalWallet.create(lane.wallet)
    services = lane.services()
    ready = (
        f"{lane.rpc_url}/health",
        f"http://127.0.0.1:{ports.dynamodb}/_ministack/ready",
        f"{lane.endpoint}/_localstack/health",
    )
    try:
        for service in services:
            Path(service.environment["TMPDIR"]).mkdir(parents=True, exist_ok=True)
            service.start()
        for service, address in zip(services, ready, strict=True):
            service.wait_until(lambda address=address: _answers(address), _READY_SECONDS)  # type: ignore[misc]
        yield lane
    finally:
        for service in reversed(services):
            service.stop()


def _answers(address: str) -> bool:
    try:
        return urllib3.request("GET", address, timeout=5, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False
