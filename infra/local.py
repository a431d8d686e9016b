"""`make up`, `make down` and `make logs`: the local stack in .local, step by step on the terminal."""

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra import stack
from infra.cloudformation import StackError
from infra.first_order import ORDER, FirstOrderError, follow_first_order
from infra.package import PROJECT, PackageError
from infra.pool_registry import RegistryError
from infra.processes import PortTakenError, ProcessError

DIRECTORY = PROJECT / ".local"

_FOLLOW_SECONDS = 0.3


def up(layout: stack.Layout) -> int:
    """Start, deploy, trade once, and say how to go on. Returns the exit code."""
    report = _stopwatch()
    restarted = not layout.localnet().running()
    try:
        description = stack.start(layout, report)
        follow_first_order(description["restUrl"], report)
    except PortTakenError as error:
        return _fail(f"{error}: stop it, or choose another, as in `{_other_port(layout, error.port)} make up`")
    except FirstOrderError as error:
        return _fail(f"the stack runs, but its first order didn't go through: {error}\n(`make logs` shows more)")
    except (ProcessError, StackError, PackageError, RegistryError) as error:
        return _fail(str(error))
    except (ClientError, BotoCoreError) as error:
        return _fail(
            f"the emulator refused: {error}\n(`make logs` shows more; `make down && rm -rf .local` starts afresh)"
        )
    if restarted:
        print("\nThe chain started from genesis; orders from before are still listed, their transactions are gone.")
    _print_how_to_go_on(description)
    return 0


def down(layout: stack.Layout) -> int:
    """End what `up` started; data and wallet stay in .local."""
    stopped = stack.stop(layout)
    print(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")
    return 0


def logs(layout: stack.Layout, follow: bool) -> int:
    """Show the ends of both processes' logs (the emulator's has the functions' lines), then what is added."""
    files = [layout.localnet().log, layout.emulator().log]
    positions: dict[Path, int] = {}
    for service in (layout.localnet(), layout.emulator()):
        print(f"==> {service.log.relative_to(Path.cwd()) if service.log.is_relative_to(Path.cwd()) else service.log}")
        print(service.log_tail(40))
        positions[service.log] = service.log.stat().st_size if service.log.exists() else 0
    while follow:
        time.sleep(_FOLLOW_SECONDS)
        for path in files:
            positions[path] = _print_added(path, positions[path])
    return 0


def _print_added(path: Path, position: int) -> int:
    try:
        with path.open("rb") as log:
            if position > path.stat().st_size:
                position = 0  # started anew
            log.seek(position)
            added = log.read()
    except OSError:
        return position
    if added:
        print(f"==> {path.name}\n{added.decode(errors='replace')}", end="", flush=True)
    return position + len(added)


def _print_how_to_go_on(description: dict[str, str]) -> None:
    rest, order = description["restUrl"], json.dumps(ORDER)
    print(f"""
REST API   {rest}
WebSocket  {description["wsUrl"]}
Solana     {description["rpcUrl"]}   (wallet {description["wallet"]})
AWS        {description["awsEndpoint"]}

Trade:     curl -s {rest}/orders/execute -H 'Content-Type: application/json' -d '{order}'
Watch it:  npx wscat -c 'the wsUrl of the answer'      (or: .venv/bin/websockets 'the wsUrl of the answer')
Quote:     curl -s '{rest}/quotes?tokenIn=SOL&tokenOut=USDC&amount=1'
Orders:    curl -s '{rest}/orders?limit=5'
Stop:      make down""")


def _other_port(layout: stack.Layout, port: int) -> str:
    return f"AWS_PORT={port + 1}" if port == layout.aws_port else f"RPC_PORT={layout.rpc_port + 10}"


def _stopwatch() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda step: print(f"[{time.monotonic() - started:5.1f} s] {step}", flush=True)


def _fail(reason: str) -> int:
    print(f"\nmake up: {reason}", file=sys.stderr)
    return 1


def _layout() -> stack.Layout:
    """From the environment, as `make VARIABLE=… up` hands it on."""
    pools = os.environ.get("POOLS")
    return stack.Layout(
        DIRECTORY,
        aws_port=int(os.environ.get("AWS_PORT") or stack.AWS_PORT),
        rpc_port=int(os.environ.get("RPC_PORT") or stack.RPC_PORT),
        localnet_arguments=tuple(shlex.split(os.environ.get("LOCALNET_ARGS", ""))),
        pools=Path(pools).resolve() if pools else None,
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="Fillrate's local stack.")
    parser.add_argument("command", choices=("up", "down", "logs"))
    parser.add_argument("--no-follow", action="store_true", help="logs: show what there is and end")
    options = parser.parse_args()
    try:
        if options.command == "up":
            return up(_layout())
        return down(_layout()) if options.command == "down" else logs(_layout(), follow=not options.no_follow)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
