"""What `make VARIABLE=… up` may say of the local stack. What isn't said stays as it runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local_stack.processes import private_files
from operations import pool_registry

NAMES = ("AWS_PORT", "RPC_PORT", "LOCALNET_ARGS", "POOLS")
AWS_PORT = 4566
RPC_PORT = 8899
_HIGHEST_PORT = 65_535


class OptionError(Exception):
    """A variable says what can't be; the text names it and what to say instead."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """The chain's WebSocket is on the port after `rpc_port`, as with solana-test-validator."""

    aws_port: int = AWS_PORT
    rpc_port: int = RPC_PORT
    localnet_arguments: tuple[str, ...] = ()
    pools: Path | None = None

    @classmethod
    def of(cls, running: Mapping[str, str], given: Mapping[str, str]) -> StackOptions:
        """As they run, but for what is given. Raises OptionError, and RegistryError of a pool registry that is given.

        A relative path is one from here.
        """
        said = {**running, **{name: text for name in NAMES if (text := given.get(name))}}
        aws_port = _port("AWS_PORT", said.get("AWS_PORT", str(AWS_PORT)), _HIGHEST_PORT)
        rpc_port = _port("RPC_PORT", said.get("RPC_PORT", str(RPC_PORT)), _HIGHEST_PORT - 1)
        if aws_port in (rpc_port, rpc_port + 1):
            raise OptionError(
                f"AWS_PORT={aws_port} and RPC_PORT={rpc_port} overlap: the chain takes RPC_PORT and the port after it"
            )
        try:
            arguments = tuple(shlex.split(said.get("LOCALNET_ARGS", "")))
        except ValueError as error:
            raise OptionError(f"LOCALNET_ARGS={said['LOCALNET_ARGS']!r} can't be read: {error}") from None
        pools = Path(said["POOLS"]).resolve() if "POOLS" in said else None
        if given.get("POOLS") and pools is not None:
            pool_registry.read(pools, lambda problem: None)
        return cls(aws_port, rpc_port, arguments, pools)

    @property
    def variables(self) -> dict[str, str]:
        """By which `of` makes them again."""
        said = {
            "AWS_PORT": str(self.aws_port),
            "RPC_PORT": str(self.rpc_port),
            "LOCALNET_ARGS": shlex.join(self.localnet_arguments),
        }
        return said if self.pools is None else said | {"POOLS": str(self.pools)}


def read(file: Path) -> dict[str, str]:
    """What `write` wrote; nothing where there is no such file."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return {name: str(found[name]) for name in NAMES if name in found} if isinstance(found, dict) else {}


def write(file: Path, options: StackOptions) -> None:
    with private_files():
        file.write_text(json.dumps(options.variables))


def _port(name: str, text: str, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= highest):
        raise OptionError(f"{name}={text} is no port: give a whole number from 1 to {highest}")
    return int(text)
