"""The local stack: an offline Solana, an emulated AWS, and Fillrate deployed on the two.

`make up` has one in .local; the end-to-end tests have another in a directory and on ports of their own.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import urllib3

from chalicelib.access.caller import LOCAL_CALLER
from chalicelib.access.keys import Scope
from chalicelib.solana.wallet import LocalWallet
from infra.deployment import package
from infra.deployment.deploy import Deployment, DeploymentSettings, deploy
from infra.local_stack import emulator_state
from infra.local_stack.processes import Service, check_port_free
from infra.project import PROJECT
from operations import keys, pool_registry
from operations.target import Stage, Target, target_for

AWS_PORT = 4566
RPC_PORT = 8899

_READY_SECONDS = 60
# More than this machine can serve: locally the gateway throttles nobody.
_REQUESTS_PER_SECOND = 10_000
# In effect no limit: this machine's own tools use the key.
_KEY_RATE_PER_MINUTE = 100_000
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a local stack lives: its directory and ports, and what its chain is started with.

    `pools` replaces the registry of pools that the localnet writes; `localnet_arguments` are passed to it.
    """

    directory: Path
    aws_port: int = AWS_PORT
    rpc_port: int = RPC_PORT
    localnet_arguments: tuple[str, ...] = field(default=())
    pools: Path | None = None
    orders_per_minute: int = 100
    # Calls a second to the chain, of the whole stage; None: any number.
    rpc_requests_per_second: Decimal | None = None
    # `local` takes requests without a key; any other is as strict here as on AWS.
    stage: Stage = "local"
    # Whether the emulator verifies signatures and enforces every role's policies, as AWS does.
    enforce_iam: bool = False
    # How much the functions log.
    log_level: str = "INFO"
    # What the worker signs with instead of `wallet`, as infra.deploy's --wallet says it.
    wallet_option: str | None = None

    @property
    def description(self) -> Path:
        """The file that tells other programs about the running stack."""
        return self.directory / "stack.json"

    @property
    def wallet(self) -> Path:
        """The trading wallet, in solana-keygen's format."""
        return self.directory / "wallet.json"

    @property
    def api_key(self) -> Path:
        """A key of the account `local`, for programs that send one."""
        return self.directory / "api-key"

    @property
    def registry(self) -> Path:
        """The pools to trade on."""
        return self.pools or self.directory / "pools.json"

    @property
    def aws_url(self) -> str:
        """The emulator's endpoint."""
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def rpc_url(self) -> str:
        """The localnet's JSON-RPC."""
        return f"http://127.0.0.1:{self.rpc_port}"

    @property
    def emulator_state(self) -> Path:
        """What the emulator saves when it ends: tables, messages, functions."""
        return self.directory / "ministack"

    @property
    def temporary(self) -> Path:
        """Temporary files of the processes; the emulator unpacks each function's code there."""
        return self.directory / "tmp"

    def localnet(self) -> Service:
        """The offline Solana, its wallet funded. It goes on from where it was stopped; after a crash, from genesis."""
        command = [sys.executable, "-m", "infra.localnet", "--rpc-port", str(self.rpc_port)]
        command += ["--pool-registry-out", str(self.directory / "pools.json"), "--fund", str(self.wallet)]
        command += ["--ledger", str(self.directory / "ledger")]
        command += self.localnet_arguments
        # To fork a real cluster it may have to pass a proxy.
        outward = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE")
        environment = {name: os.environ[name] for name in outward if name in os.environ}
        return self._service("localnet", command, environment)

    def emulator(self) -> Service:
        """MiniStack. Its whole environment reaches the functions, so it gets nothing but what it needs."""
        environment = {
            "GATEWAY_PORT": str(self.aws_port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "1",
            **({"AUTH": "true"} if self.enforce_iam else {}),
            "STATE_DIR": str(self.emulator_state),
            # The functions must not get the developer's own AWS settings.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return self._service("ministack", [sys.executable, "-m", "ministack"], environment)

    def _service(self, name: str, command: list[str], environment: dict[str, str]) -> Service:
        common = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
            "HOME": str(self.directory),
            "TMPDIR": str(self.temporary),
            "PYTHONUNBUFFERED": "1",
        }
        return Service(
            name=name,
            command=command,
            environment=common | environment,
            working_directory=PROJECT,
            log=self.directory / "logs" / f"{name}.log",
            pid_file=self.directory / "pids" / f"{name}.json",
        )


def start(layout: Layout, report: Report, dependencies: package.Dependencies | None = None) -> dict[str, str]:
    """Start what doesn't run yet, deploy the present code, and return (and write) the stack's description.

    `report` is told each step. Raises ProcessError, PackageError, StackError, RegistryError or boto3's errors.
    """
    layout.temporary.mkdir(parents=True, exist_ok=True)
    _ensure_wallet(layout.wallet)
    # The chain's WebSocket is on the port after its RPC's, as with solana-test-validator.
    _start(layout.localnet(), (layout.rpc_port, layout.rpc_port + 1), report)
    _start(
        layout.emulator(),
        (layout.aws_port,),
        report,
        lambda: emulator_state.adopt(layout.emulator_state, layout.aws_port),
    )
    built = package.build(layout.stage, layout.directory / "package", dependencies or package.local_dependencies())
    report(f"packaged the functions ({built.archive.stat().st_size / 1e6:.1f} MB)")
    layout.localnet().wait_until(lambda: _healthy_chain(layout.rpc_url), _READY_SECONDS)
    layout.emulator().wait_until(lambda: _healthy_emulator(layout.aws_url), _READY_SECONDS)
    report("the chain and the emulator are ready")
    target = target_for(layout.stage, layout.aws_url)
    settings = DeploymentSettings(
        layout.rpc_url,
        layout.wallet_option or f"file:{layout.wallet.absolute()}",
        orders_per_minute=layout.orders_per_minute,
        requests_per_second=_REQUESTS_PER_SECOND,
        rpc_requests_per_second=layout.rpc_requests_per_second,
        log_level=layout.log_level,
    )
    deployment = deploy(target, settings, built)
    pools = pool_registry.seed(target.client("dynamodb"), deployment.outputs["PoolsTable"], layout.registry)
    report(f"deployed, with {pools} pools")
    api_key = _api_key(layout.api_key, target, deployment.outputs["AccessTable"])
    description = _describe(layout, deployment, api_key)
    _write_private(layout.description, json.dumps(description, indent=2) + "\n")  # it has the key
    return description


def stop(layout: Layout) -> list[str]:
    """End the stack's processes; returns the names of those that ran. The emulator's data stays in the directory."""
    stopped = [service.name for service in (layout.emulator(), layout.localnet()) if service.stop()]
    layout.description.unlink(missing_ok=True)
    shutil.rmtree(layout.temporary, ignore_errors=True)
    return stopped


def _start(service: Service, ports: tuple[int, ...], report: Report, before: Callable[[], None] = lambda: None) -> None:
    if service.running():
        report(f"{service.name} runs already on port {ports[0]}")
        return
    if service.stop():
        report(f"stopped the {service.name} that ran with other options, or was left over")
    for port in ports:
        check_port_free(port)
    before()
    service.start()
    report(f"started {service.name} on port {ports[0]}")


def _ensure_wallet(path: Path) -> None:
    """Make the wallet's file if there is none."""
    if not path.exists():
        LocalWallet.create(path)


def _api_key(path: Path, target: Target, table: str) -> str:
    """The stack's own API key; a new one if there is none yet, or the emulator has lost it."""
    administration = keys.administration(target, table)
    if path.exists() and administration.is_valid(path.read_text()):
        return path.read_text()
    new = administration.create(
        LOCAL_CALLER.account, frozenset(Scope), rate_per_minute=_KEY_RATE_PER_MINUTE, label="made by make up"
    )
    _write_private(path, new.secret)
    return new.secret


def _write_private(path: Path, text: str) -> None:
    """The file, readable by its owner alone, in one step: other programs read it at any time."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.replace(path)


def _healthy_chain(url: str) -> bool:
    return b'"ok"' in _answer("POST", url, {"jsonrpc": "2.0", "id": 1, "method": "getHealth"})


def _healthy_emulator(url: str) -> bool:
    return b'"completed"' in _answer("GET", f"{url}/_ministack/ready")


def _answer(method: str, url: str, body: dict[str, Any] | None = None) -> bytes:
    """The body of a good answer; nothing until there is one."""
    try:
        response = urllib3.request(method, url, json=body, timeout=5, retries=False)
    except urllib3.exceptions.HTTPError:
        return b""
    return response.data if response.status == 200 else b""


def _describe(layout: Layout, deployment: Deployment, api_key: str) -> dict[str, str]:
    return {
        "stage": layout.stage,
        "restUrl": deployment.rest_url,
        "wsUrl": deployment.websocket_url,
        "uiUrl": f"{deployment.rest_url}/",
        "awsEndpoint": layout.aws_url,
        "rpcUrl": layout.rpc_url,
        "apiKey": api_key,
        "wallet": deployment.wallet or "",
        "ordersTable": deployment.outputs["OrdersTable"],
        "accessTable": deployment.outputs["AccessTable"],
        "controlTable": deployment.outputs["ControlTable"],
        "poolsTable": deployment.outputs["PoolsTable"],
        "queueUrl": deployment.outputs["OrdersQueueUrl"],
        "dlqUrl": deployment.outputs["DeadLetterQueueUrl"],
        "workerFunction": deployment.worker_function,
    }
