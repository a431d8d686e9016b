"""`make up`, `make down` and `make logs`: the local stack in .local, step by step on the terminal."""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.problems import AwsError
from infra.deployment.cloudformation import StackError
from infra.deployment.package import PackageError
from infra.deployment.wallet import WalletError
from infra.local_stack import options, stack
from infra.local_stack.first_order import ORDER, FirstOrderError, choose_order, follow_first_order
from infra.local_stack.processes import PortTakenError, ProcessError, is_port_free
from infra.local_stack.progress import StepsShown
from infra.project import PROJECT
from operations.pool_registry import RegistryError

DIRECTORY = PROJECT / ".local"

# The options of the running stack, until `down`: `up` again keeps them.
_OPTIONS = DIRECTORY / "options.json"
_FOLLOW_SECONDS = 0.3
# What the localnet logs of its start where it doesn't go on (infra/localnet/startup.py).
NEW_CHAIN = "a new chain"
_LOOK = {"encoding": "jsonParsed", "maxSupportedTransactionVersion": 1}


def up(layout: stack.Layout) -> int:
    """Start, deploy, trade once, and say how to go on. Returns the exit code."""
    with StepsShown() as report:
        return _up(layout, report)


def _up(layout: stack.Layout, report: StepsShown) -> int:
    chain_started = layout.emulator_state.exists() and not layout.localnet().running()
    try:
        description = stack.start(layout, report)
        _remember(layout)
        order = choose_order(description["restUrl"])
        if order is not None and order != ORDER:
            report(f"no pool of the registry pays {ORDER['tokenOut']} for SOL: the first order is for another token")
        confirmed = follow_first_order(description["restUrl"], report, order) if order else None
    except PortTakenError as error:
        another = _other_port(layout, error.port)
        return _fail(f"{error}: choose another, as in `{another} make up`. What ran of this stack runs on")
    except FirstOrderError as error:
        return _fail(f"the stack runs, but its first order didn't go through: {error}\n(`make logs` shows more)")
    except (ProcessError, StackError, PackageError, RegistryError, WalletError) as error:
        return _fail(str(error))
    except (ClientError, BotoCoreError, AwsError) as error:
        return _fail(
            f"the emulator refused: {error.__cause__ or error}\n"
            "(`make logs` shows more; `make down && rm -rf .local` starts from scratch)"
        )
    if chain_started and NEW_CHAIN in layout.localnet().log.read_text(errors="replace"):
        print("\nThe chain began anew: orders from before are still listed, but their transactions are gone.")
    if confirmed is None:
        report("no pool of the registry pays for SOL, so no first order was placed")
    _print_how_to_go_on(description, order or ORDER, confirmed)
    return 0


def down(layout: stack.Layout) -> int:
    """End what `up` started; data and wallet stay in .local."""
    stopped = stack.stop(layout)
    _OPTIONS.unlink(missing_ok=True)
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
                position = 0  # it was started again
            log.seek(position)
            added = log.read()
    except OSError:
        return position
    if added:
        print(f"==> {path.name}\n{added.decode(errors='replace')}", end="", flush=True)
    return position + len(added)


def _print_how_to_go_on(description: dict[str, str], order: dict[str, str], first_order: dict[str, Any] | None) -> None:
    rest = description["restUrl"]
    pair = f"tokenIn={order['tokenIn']}&tokenOut={order['tokenOut']}"
    print(f"""
Page       {description["uiUrl"]}
REST API   {rest}
WebSocket  {description["wsUrl"]}
Solana     {description["rpcUrl"]}   (wallet {description["wallet"]})
AWS        {description["awsEndpoint"]}

.venv/bin/fillrate quote {order["tokenIn"]} {order["tokenOut"]} 10
.venv/bin/fillrate sell {order["tokenIn"]} 1 --for {order["tokenOut"]}       (--help; the rest is in docs/cli.md)

Trade:     curl -s {rest}/orders/execute -H 'Content-Type: application/json' -d '{json.dumps(order)}'
Quote:     curl -s '{rest}/quotes?{pair}&amount=1'
Tokens:    curl -s {rest}/tokens
Orders:    curl -s '{rest}/orders?limit=5'{_how_to_look_at(first_order, description) if first_order else ""}
Stop:      make down""")


def _how_to_look_at(order: dict[str, Any], description: dict[str, str]) -> str:
    # without a ticket, as this stage allows: the order's own was used by its first watcher
    ws_url, rpc_url = f"{description['wsUrl']}?orderId={order['orderId']}", description["rpcUrl"]
    look = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": [order["txHash"], _LOOK]})
    return f"""
Watch:     npx wscat -c '{ws_url}'
           (the order above, from its first status; each trade's answer has a wsUrl, for one connection; without Node:
           .venv/bin/fillrate watch {order["orderId"]})
On chain:  curl -s {rpc_url} -H 'Content-Type: application/json' -d '{look}'"""


def _other_port(layout: stack.Layout, port: int) -> str:
    if port == layout.aws_port:
        return f"AWS_PORT={_free_port(port + 1, 1)}"
    return f"RPC_PORT={_free_port(layout.rpc_port + 10, 2)}"


def _free_port(first: int, count: int) -> int:
    """The first of so many that are free, from `first` upwards or, where there are none, from 20000."""
    for port in chain(range(max(first, 1024), 65_535 - count), range(20_000, 60_000)):
        if all(is_port_free(one) for one in range(port, port + count)):
            return port
    return first


def _fail(reason: str) -> int:
    print(f"\nmake up: {reason}", file=sys.stderr)
    return 1


def _layout(given: Mapping[str, str]) -> stack.Layout:
    """From what `make VARIABLE=… up` hands on; what isn't given there stays as it is running.

    Raises OptionError, RegistryError.
    """
    chosen = options.StackOptions.of(options.read(_OPTIONS), given)
    return stack.Layout(
        DIRECTORY,
        aws_port=chosen.aws_port,
        rpc_port=chosen.rpc_port,
        localnet_arguments=chosen.localnet_arguments,
        pools=chosen.pools,
    )


def _remember(layout: stack.Layout) -> None:
    running = options.StackOptions(layout.aws_port, layout.rpc_port, layout.localnet_arguments, layout.pools)
    options.write(_OPTIONS, running)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="Fillrate's local stack.")
    parser.add_argument("command", choices=("up", "down", "logs"))
    parser.add_argument("--no-follow", action="store_true", help="logs: show what there is and end")
    asked = parser.parse_args()
    try:
        if asked.command == "up":
            return up(_layout(os.environ))
        return down(_layout({})) if asked.command == "down" else logs(_layout({}), follow=not asked.no_follow)
    except (options.OptionError, RegistryError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
