"""`make VARIABLE=… up`: what isn't said stays as it runs, and what can't be is named with its remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local_stack import options
from infra.local_stack.options import OptionError, StackOptions
from operations.pool_registry import RegistryError

CPMM = "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C"
POOL = "8sLbNZoA1cfnvMJLPfp98ZLAnFSYCFApfJKMbiXNLwxj"
PORTS = st.integers(1, 65_534)


@given(PORTS, PORTS, st.lists(st.text(st.characters(exclude_characters="\0"))))
def test_what_is_kept_is_the_same_again(aws_port: int, rpc_port: int, arguments: list[str]) -> None:
    kept = StackOptions(aws_port, rpc_port, tuple(arguments))
    if aws_port in (rpc_port, rpc_port + 1):
        with pytest.raises(OptionError, match="overlap"):
            StackOptions.of(kept.variables, {})
    else:
        assert StackOptions.of(kept.variables, {}) == kept


def test_what_is_not_said_stays_as_it_runs(tmp_path: Path) -> None:
    running = {"AWS_PORT": "4600", "RPC_PORT": "9000", "LOCALNET_ARGS": "--slot-ms 100"}
    chosen = StackOptions.of(running, {"RPC_PORT": "9100", "AWS_PORT": "", "HOME": "/root"})
    assert chosen == StackOptions(4600, 9100, ("--slot-ms", "100"))
    file = tmp_path / "options.json"
    options.write(file, chosen)
    assert options.read(file) == chosen.variables
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"AWS_PORT": 4600}'])
def test_a_broken_file_of_options_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "options.json"
    file.write_text(text)
    assert options.read(file) == ({"AWS_PORT": "4600"} if "4600" in text else {})


@pytest.mark.parametrize("name", ["AWS_PORT", "RPC_PORT"])
@pytest.mark.parametrize("text", ["x", "0", "-1", "4566.0", "65536", "٤٥٦٦", " 80", "1e3", "99999999999999999999"])
def test_what_is_no_port_is_named_with_what_is_one(name: str, text: str) -> None:
    with pytest.raises(OptionError, match=f"{name}=.* is no port: give a whole number from 1 to 6553"):
        StackOptions.of({}, {name: text})


def test_the_chain_needs_the_port_after_its_own_too() -> None:
    with pytest.raises(OptionError, match="from 1 to 65534"):
        StackOptions.of({}, {"RPC_PORT": "65535"})
    for aws_port in ("8899", "8900"):
        with pytest.raises(OptionError, match="the port after it"):
            StackOptions.of({}, {"AWS_PORT": aws_port})


def test_arguments_that_are_not_closed_are_named() -> None:
    with pytest.raises(OptionError, match="LOCALNET_ARGS="):
        StackOptions.of({}, {"LOCALNET_ARGS": "--fork 'x"})


def test_a_registry_is_looked_at_before_anything_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="No such file"):
        StackOptions.of({}, {"POOLS": str(tmp_path / "none.json")})
    broken = tmp_path / "pools.json"
    broken.write_text("{")
    with pytest.raises(RegistryError, match=r"pools\.json is not a list"):
        StackOptions.of({}, {"POOLS": str(broken)})
    broken.write_text(json.dumps([{"address": POOL, "program": CPMM}, {"address": "x", "program": CPMM}]))
    assert StackOptions.of({}, {"POOLS": str(broken)}).pools == broken
