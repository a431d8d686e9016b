"""The local stack: an offline Solana, an emulated AWS, and Fillrate deployed on the two.

`make up` has one in .local; the end-to-end tests have another in a directory and on ports of their own.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import urllib3

from chalicelib.access.caller import LOCAL_CALLER
from chalicelib.access.keys import Scope
from chalicelib.solana.wallet import LocalWallet
from infra.deployment import package
from infra.deployment.deploy import Deployment, DeploymentSettings, LaneSettings, deploy, seed_pools
from infra.local_stack import emulator_state
from infra.local_stack.emulator.credentials import ensure_credentials
from infra.local_stack.options import AWS_PORT, RPC_PORT
from infra.local_stack.processes import Service, check_ports, private_files
from infra.local_stack.restart import Restart
from infra.project import PROJECT
from operations import keys
from operations.pools import administration, unfit_pools
from operations.target import EmulatorCredentials, Stage, Target, target_for

_READY_SECONDS = 60
_FORK_SECONDS = 900
_SAID_BY_THE_CHAIN = re.compile(r" localnet: (.* chain.*, \d+ pools)$", re.MULTILINE)
# More than this machine can serve: locally the gateway throttles nobody.
_REQUESTS_PER_SECOND = 10_000
# In effect no limit: this machine's own tools use the key.
_KEY_RATE_PER_MINUTE = 100_000
_IDLE_PROCESS_SECONDS = 60
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
    orders_at_once: int = 10
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
    def aws_credentials(self) -> Path:
        """The emulator's root credentials, as AWS_SHARED_CREDENTIALS_FILE has them."""
        return self.directory / "aws-credentials"

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
        # To fork a real cluster it may have to pass a proxy. Another shell's is no reason to start it again.
        outward = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE")
        inherited = {name: os.environ[name] for name in outward if name in os.environ}
        # The chain's WebSocket is on the port after its RPC's, as with solana-test-validator.
        return self._service("localnet", command, {}, (self.rpc_port, self.rpc_port + 1), inherited)

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
            # Of what a burst of requests leaves behind, one process of each function stays longer.
            "LAMBDA_WARM_TTL_SECONDS": str(_IDLE_PROCESS_SECONDS),
        }
        command = [sys.executable, "-m", "infra.local_stack.emulator", "--credentials", str(self.aws_credentials)]
        return self._service("ministack", command, environment, (self.aws_port,))

    def _service(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        ports: tuple[int, ...],
        inherited: dict[str, str] | None = None,
    ) -> Service:
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
            ports=ports,
            inherited=inherited or {},
        )


def start(layout: Layout, report: Report, built: package.Package | None = None) -> dict[str, str]:
    """Start what doesn't run yet, deploy the present code, and return (and write) the stack's description.

    `report` is told each step; `built` is the package, for who starts several stacks of one code and stage.
    Raises ProcessError, PackageError, StackError, RegistryError or boto3's errors.
    """
    with private_files():
        return _start_all(layout, report, built)


def _start_all(layout: Layout, report: Report, built: package.Package | None) -> dict[str, str]:
    layout.temporary.mkdir(parents=True, exist_ok=True)
    layout.directory.chmod(0o700)
    credentials = ensure_credentials(layout.aws_credentials)
    _ensure_wallet(layout.wallet)
    services = [
        (layout.localnet(), lambda: None),
        (layout.emulator(), lambda: emulator_state.adopt(layout.emulator_state, layout.aws_port)),
    ]
    started = _start(services, report)
    if built is None:
        report("packaging the functions (their packages are downloaded where they are new)")
        built = package.build(layout.stage, layout.directory / "package", package.local_dependencies())
    report(f"packaged the functions ({built.archive.stat().st_size / 1e6:.1f} MB); waiting for chain and emulator")
    # A fork keeps to its cluster's pace.
    chain_seconds = _FORK_SECONDS if "--fork" in " ".join(layout.localnet_arguments) else _READY_SECONDS
    layout.localnet().wait_until(lambda: _healthy_chain(layout.rpc_url), chain_seconds)
    if layout.localnet().name in started:
        report(_chains_origin(layout.localnet().log))
    layout.emulator().wait_until(lambda: _healthy_emulator(layout.aws_url), _READY_SECONDS)
    restart = Restart.read(layout.emulator_state) if layout.emulator().name in started else None
    for sentence in restart.sentences if restart is not None else ():
        report(sentence)
    report("the chain and the emulator are ready; deploying")
    target = target_for(layout.stage, layout.aws_url, credentials=credentials)
    settings = DeploymentSettings(
        layout.rpc_url,
        layout.wallet_option or f"file:{layout.wallet.absolute()}",
        orders_per_minute=layout.orders_per_minute,
        orders_at_once=layout.orders_at_once,
        requests_per_second=_REQUESTS_PER_SECOND,
        rpc_requests_per_second=layout.rpc_requests_per_second,
        explorer_url="",
        lanes=LaneSettings.of(os.environ),
        log_level=layout.log_level,
    )
    deployment = deploy(target, settings, built)
    pools = seed_pools(target, deployment.outputs, layout.registry, report)
    report(f"deployed, with {pools} pools")
    for problem in unfit_pools(administration(target, layout.rpc_url)):
        report(f"{problem}; orders go through the others")
    api_key = _api_key(layout.api_key, target)
    description = _describe(layout, deployment, api_key, credentials)
    _write_private(layout.description, json.dumps(description, indent=2) + "\n")  # it has the key
    return description


def stop(layout: Layout) -> list[str]:
    """End the stack's processes; returns the names of those that ran. The emulator's data stays in the directory."""
    stopped = [service.name for service in (layout.emulator(), layout.localnet()) if service.stop()]
    layout.description.unlink(missing_ok=True)
    shutil.rmtree(layout.temporary, ignore_errors=True)
    return stopped


def _start(services: Sequence[tuple[Service, Callable[[], None]]], report: Report) -> list[str]:
    """Start what doesn't run as it should, each after what is to be done before; returns the names of these.

    Nothing is stopped before it is known that what comes in its place finds its ports.
    """
    check_ports([service for service, _ in services])
    changed = []
    for service, before in services:
        if service.running():
            report(f"{service.name} runs already on port {service.ports[0]}")
            continue
        if service.stop():
            report(f"stopped the {service.name} that ran with other options, or was left over")
        changed.append((service, before))
    for service, before in changed:
        before()
        service.start()
        report(f"started {service.name} on port {service.ports[0]}")
    return [service.name for service, _ in changed]


def _ensure_wallet(path: Path) -> None:
    """Make the wallet's file if there is none."""
    if not path.exists():
        LocalWallet.create(path)


def _api_key(path: Path, target: Target) -> str:
    """The stack's own API key; a new one if there is none yet, or the emulator has lost it."""
    administration = keys.administration(target)
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


def _chains_origin(log: Path) -> str:
    """What the chain says of where it comes from."""
    said = _SAID_BY_THE_CHAIN.search(log.read_text(errors="replace"))
    return f"the chain is ready: {said[1]}" if said else "the chain is ready"


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


def _describe(layout: Layout, deployment: Deployment, api_key: str, credentials: EmulatorCredentials) -> dict[str, str]:
    return {
        "stage": layout.stage,
        "restUrl": deployment.rest_url,
        "wsUrl": deployment.websocket_url or "",
        "uiUrl": f"{deployment.rest_url}/",
        "awsEndpoint": layout.aws_url,
        "awsAccessKeyId": credentials.access_key_id,
        "awsSecretAccessKey": credentials.secret_access_key,
        "rpcUrl": layout.rpc_url,
        "apiKey": api_key,
        "wallet": deployment.wallet or "",
        "ordersTable": deployment.outputs["OrdersTable"],
        "accessTable": deployment.outputs["AccessTable"],
        "controlTable": deployment.outputs["ControlTable"],
        "circulationsTable": deployment.outputs["CirculationsTable"],
        "poolsTable": deployment.outputs["PoolsTable"],
        "queueUrl": deployment.outputs["OrdersQueueUrl"],
        "dlqUrl": deployment.outputs["DeadLetterQueueUrl"],
        "workerFunction": deployment.worker_function,
    }
