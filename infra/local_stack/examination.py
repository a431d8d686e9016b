"""What `fillrate doctor` finds in a checkout: packages, the local stack and its directory, the tests' tools."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from fillrate.cli.findings import Finding, Verdict

from infra.local_stack.options import AWS_PORT, RPC_PORT
from infra.local_stack.processes import PortTakenError, check_port_free

# As the Makefile has it: what `.venv/.local` is made from.
_PACKAGES = ("requirements-build.txt", "requirements-local.txt", "client/pyproject.toml")
_NPM_PROJECTS = ("tests/specs", "testing/sdk", "web")
# The functions' code, unpacked for each process, and what the emulator saves: less than this doesn't last.
_FEWEST_FREE_BYTES = 2 * 10**9
_CONNECT_SECONDS = 2.0
# What each address of stack.json is.
_PROCESSES = {"awsEndpoint": "emulator", "rpcUrl": "chain"}


def examine(root: Path) -> Iterator[Finding]:
    """Each finding about the checkout `root`."""
    yield _packages(root)
    yield from _directory(root / ".local")
    yield _space(root)
    yield from _stack(root / ".local" / "stack.json")
    yield from _npm(root)


def _packages(root: Path) -> Finding:
    made = root / ".venv" / ".local"
    if not made.exists():
        return Finding("packages", Verdict.WRONG, "what the local stack needs is not installed in .venv", "`make up`")
    newer = [name for name in _PACKAGES if (root / name).stat().st_mtime > made.stat().st_mtime]
    if newer:
        return Finding("packages", Verdict.WRONG, f"{', '.join(newer)} changed after .venv was made", "`make up`")
    return Finding("packages", Verdict.OK, "as the requirements name them")


def _directory(directory: Path) -> Iterator[Finding]:
    if directory.exists() and not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        owner = directory.stat().st_uid
        seen = f"{directory} belongs to user {owner}, and can't be written by you ({os.geteuid()})"
        yield Finding("directory", Verdict.WRONG, seen, f"sudo chown -R $(id -u):$(id -g) {directory}")


def _space(root: Path) -> Finding:
    free = shutil.disk_usage(root).free
    if free < _FEWEST_FREE_BYTES:
        remedy = "free some; `make down` empties .local/tmp, and build/ can be deleted"
        return Finding("disk", Verdict.WRONG, f"{free / 1e9:.1f} GB are free at {root}", remedy)
    return Finding("disk", Verdict.OK, f"{free / 1e9:.0f} GB free")


def _stack(path: Path) -> Iterator[Finding]:
    try:
        stack = json.loads(path.read_text())
    except FileNotFoundError:
        yield Finding("local stack", Verdict.NOTE, "none runs here", "`make up` starts one")
        yield from _ports()
        return
    except (OSError, ValueError) as error:
        yield Finding("local stack", Verdict.WRONG, f"{path} can't be read: {error}", "`make down`, then `make up`")
        return
    for name, process in _PROCESSES.items():
        address = str(stack.get(name, ""))
        if _listens(address):
            yield Finding(process, Verdict.OK, f"listens at {address}")
        else:
            seen = f"nothing listens at {address}, where {path.name} says that it runs"
            yield Finding(process, Verdict.WRONG, seen, "`make up` starts it again; `make logs` shows its end")


def _ports() -> Iterator[Finding]:
    """Whether a first `make up` would find its ports free. The chain's WebSocket has the one after its RPC's."""
    for port, option in ((AWS_PORT, "AWS_PORT"), (RPC_PORT, "RPC_PORT"), (RPC_PORT + 1, "RPC_PORT")):
        try:
            check_port_free(port)
        except PortTakenError as error:
            yield Finding(
                "port", Verdict.WRONG, str(error), f"stop that program, or choose another: `make up {option}=…`"
            )


def _listens(address: str) -> bool:
    parts = urlsplit(address)
    if parts.hostname is None or parts.port is None:
        return False
    try:
        socket.create_connection((parts.hostname, parts.port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _npm(root: Path) -> Iterator[Finding]:
    """Without Node's tools some kinds of tests are skipped: worth a note, and no more to who only trades."""
    if shutil.which("npm") is None:
        yield Finding("npm", Verdict.NOTE, "not installed: tests that need it are skipped", "install Node.js with npm")
        return
    missing = [name for name in _NPM_PROJECTS if not (root / name / "node_modules").exists()]
    if missing:
        seen = f"nothing is installed in {', '.join(missing)}: tests that need it are skipped"
        yield Finding("npm", Verdict.NOTE, seen, "`make test` installs it")
