"""`python -m infra.localnet`: an offline Solana with a market on it."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.problems import FillrateError
from infra.localnet import clusters, consensus, server, startup

_log = logging.getLogger("infra.localnet")
_FROM_CONTAINERS = "host.docker.internal"


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Exit code 1 where it can't start, 2 where the arguments are wrong."""
    parsed = _parser().parse_args(arguments)
    level = logging.DEBUG if parsed.verbose else logging.INFO
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s localnet: %(message)s")
    logging.getLogger("hypercorn").setLevel(logging.WARNING)
    try:
        listeners = server.open_ports(parsed.bind_address, parsed.rpc_port)
        chain = startup.build(_options(parsed))
    except (server.PortInUseError, startup.StartupError, FillrateError) as error:
        print(f"localnet: {error}", file=sys.stderr)
        return 1
    if parsed.pool_registry_out is not None:
        parsed.pool_registry_out.parent.mkdir(parents=True, exist_ok=True)
        parsed.pool_registry_out.write_text(json.dumps(chain.pool_registry, indent=1) + "\n")
    _log.info("%s, slot %d, %d pools", chain.origin, chain.node.ledger.slot, len(chain.pools))
    asyncio.run(_serve(chain, listeners, parsed))
    chain.save()
    _log.info("stopped")
    return 0


async def _serve(chain: startup.Chain, listeners: server.Listeners, parsed: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    address, port = listeners[0].getsockname()[:2]
    host = f"[{address}]" if ":" in address else address
    print(f"localnet: listening on http://{host}:{port}", flush=True)
    guests = server.Guests(frozenset(parsed.allow_origin), _hosts(parsed))
    await server.run(chain.node, listeners, chain.begin_slot, stop, guests)


def _hosts(parsed: argparse.Namespace) -> frozenset[str]:
    """What this machine may be called besides a loopback address: by names that were given, as it was bound, and from
    a container, by a name that no page has.
    """
    return frozenset(name.lower() for name in (*parsed.allow_host, parsed.bind_address, _FROM_CONTAINERS))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.localnet",
        description="An offline Solana: LiteSVM behind Solana's JSON-RPC, with a market of every venue's pools.",
    )
    add = parser.add_argument
    add("--rpc-port", type=int, default=8899, metavar="N", help="JSON-RPC; WebSocket on the next one; 0: any free two")
    add("--bind-address", default="127.0.0.1", metavar="IP")
    add(
        "--allow-origin",
        type=_origin,
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin ask, as http://127.0.0.1:3000; but for the localnet's own methods",
    )
    add("--allow-host", action="append", default=[], metavar="NAME", help="another name that this machine is called by")
    add(
        "--chain",
        choices=sorted(consensus.BY_NAME),
        default=consensus.ALPENGLOW.name,
        help="alpenglow: Solana as it is since October 2026 (default); tower: as it was before",
    )
    add("--slot-ms", type=_positive, metavar="N", help="length of a slot (default: 200, of --chain tower 400)")
    add(
        "--bpf-program",
        nargs=2,
        action="append",
        default=[],
        metavar=("ADDRESS", "FILE.so"),
        help="run this bytecode at the address, instead of an emulation",
    )
    add("--account-dir", type=Path, action="append", default=[], metavar="DIR", help="load account dumps (*.json)")
    add(
        "--fork",
        type=_cluster,
        metavar="CLUSTER",
        help="take pools and programs from this cluster instead of the genesis market: its address, or mainnet-beta, "
        "devnet, testnet; with a saved --ledger of another chain it needs --reset",
    )
    add("--fork-pools", type=Path, metavar="FILE", help='which pools: a registry, [{"address", "program"}]')
    add("--clone", type=_address, action="append", default=[], metavar="ADDRESS", help="further accounts for --fork")
    add("--pool-registry-out", type=Path, metavar="FILE", help="write the pools there")
    add("--fund", type=_owner, action="append", default=[], metavar="WALLET", help="an address or a keypair file")
    add("--seed", type=int, default=0, metavar="N", help="of the genesis market and its traders")
    add("--no-traders", action="store_true", help="nobody else trades")
    add("--ledger", type=Path, metavar="DIR", help="keep the chain there when stopped, and go on with it when started")
    add("--reset", action="store_true", help="begin from genesis whatever --ledger holds; so does a start without it")
    add("--verbose", action="store_true")
    return parser


def options(arguments: list[str]) -> startup.Options:
    """What a command line asks for. Raises StartupError; ends the process where the arguments are wrong."""
    return _options(_parser().parse_args(arguments))


def _options(parsed: argparse.Namespace) -> startup.Options:
    if parsed.fork is None and (parsed.fork_pools or parsed.clone):
        raise startup.StartupError("--fork-pools and --clone need --fork CLUSTER")
    if parsed.fork is not None and not (parsed.fork_pools or parsed.clone):
        raise startup.StartupError("--fork needs --fork-pools FILE or --clone ADDRESS: what to take from the cluster")
    return startup.Options(
        seed=parsed.seed,
        consensus=_consensus(parsed),
        with_traders=not parsed.no_traders,
        bpf_programs=tuple((_checked_address(address), Path(file)) for address, file in parsed.bpf_program),
        account_directories=tuple(parsed.account_dir),
        funded=tuple(parsed.fund),
        fork_url=parsed.fork,
        fork_pools=startup.read_pool_registry(parsed.fork_pools) if parsed.fork_pools else (),
        cloned=tuple(parsed.clone),
        ledger_directory=parsed.ledger,
        reset=parsed.reset,
    )


def _consensus(parsed: argparse.Namespace) -> consensus.ConsensusRules:
    chosen = consensus.BY_NAME[parsed.chain]
    return chosen if parsed.slot_ms is None else replace(chosen, slot_ms=parsed.slot_ms)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def _origin(text: str) -> str:
    """As a browser writes it: scheme, host and port, nothing behind them, and in lower case."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or text != f"{parts.scheme}://{parts.netloc}":
        raise argparse.ArgumentTypeError(f"{text} is no origin such as http://127.0.0.1:3000")
    return text.lower()


def _cluster(text: str) -> str:
    try:
        return clusters.url_of(text)
    except clusters.UnknownCluster as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _address(text: str) -> Pubkey:
    try:
        return Pubkey.from_string(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no address") from None


def _checked_address(text: str) -> Pubkey:
    try:
        return _address(text)
    except argparse.ArgumentTypeError as error:
        raise startup.StartupError(str(error)) from None


def _owner(text: str) -> Pubkey:
    """An address, or a file in solana-keygen's format, of which only the address is used."""
    file = Path(text)
    if not file.is_file():
        return _address(text)
    try:
        return Keypair.from_bytes(bytes(json.loads(file.read_text()))).pubkey()
    except (ValueError, TypeError):
        raise argparse.ArgumentTypeError(f"{text} is no keypair file") from None


if __name__ == "__main__":
    sys.exit(main())
