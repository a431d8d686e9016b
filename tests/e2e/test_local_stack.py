"""What `make up` and `make down` promise: nothing is lost between them, and nothing is left."""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local_stack.first_order import follow_first_order
from infra.local_stack.processes import PortTakenError, ProcessError, Service, check_port_free
from infra.local_stack.stack import Layout, start, stop
from infra.project import PROJECT
from testing.client import PATIENCE_SECONDS, Client
from testing.ports import free_port
from tests.e2e.conftest import SLOT_MS
from tests.e2e.test_dirty_shell import SHELLS

DIRTY_SHELL = SHELLS["all of it"]


def layout_in(directory: Path, *localnet_arguments: str) -> Layout:
    arguments = ("--slot-ms", str(SLOT_MS), *localnet_arguments)
    return Layout(directory, free_port(), free_port(following=1), arguments)


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Service]:
    """A process that has a child, and leaves it behind when it is killed."""
    script = tmp_path / "sleeper.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "if len(sys.argv) == 1: subprocess.Popen([sys.executable, __file__, 'child'])\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    service = Service(
        name="sleeper",
        command=[sys.executable, str(script)],
        environment={"TMPDIR": str(tmp_path)},
        working_directory=tmp_path,
        log=tmp_path / "log",
        pid_file=tmp_path / "pid.json",
    )
    yield service
    service.stop()


def test_down_and_up_keep_the_orders_even_on_other_ports_and_in_another_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    first = layout_in(tmp_path)
    try:
        description = start(first, steps.append)
        order_id = follow_first_order(description["restUrl"], steps.append)["orderId"]
        assert stop(first) == ["ministack", "localnet"]
        for port in (first.aws_port, first.rpc_port):
            check_port_free(port)
        second = layout_in(tmp_path)
        for name, value in DIRTY_SHELL.items():
            monkeypatch.setenv(name, value)
        try:
            again = start(second, steps.append)
            assert again["wallet"] == description["wallet"]
            assert again["apiKey"] == description["apiKey"]
            assert again["awsAccessKeyId"] == description["awsAccessKeyId"]
            own = {"x-api-key": again["apiKey"]}
            assert Client(again["restUrl"]).call("GET", f"/orders/{order_id}", headers=own).status == 200
            assert Client(again["restUrl"]).order(order_id)["status"] == "confirmed"
            # Live statuses too: the emulator forgets its streams, and must not take the new ones for read.
            follow_first_order(again["restUrl"], steps.append)
        finally:
            stop(second)
        assert stop(second) == []
    finally:
        stop(first)


def test_what_lies_in_its_directory_is_for_its_owner_alone(stack: dict[str, str]) -> None:
    directory = Path(stack["directory"])
    assert {"logs", "ministack", "pids", "stack.json", "tmp"} <= {path.name for path in directory.iterdir()}
    # Outside of the functions' code, which comes and goes: the folders that it lies in are looked at.
    looked_at = [path for path in directory.rglob("*") if "ministack-lambda-" not in str(path.parent)]
    modes = {path: path.stat().st_mode for path in looked_at if path.exists()}
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def test_its_description_has_all_that_the_contract_names(stack: dict[str, str]) -> None:
    contract = (PROJECT / "docs" / "contract.md").read_text()
    sentence = contract.split("`.local/stack.json` has at least:")[1].split("All of it")[0]
    named = re.findall(r"`([a-z]+(?:[A-Z][a-z]+)*)`", sentence)
    assert {"restUrl", "awsAccessKeyId", "awsSecretAccessKey", "workerFunction"} <= {*named}
    assert [name for name in named if not stack.get(name)] == []


def test_a_taken_port_is_named_and_nothing_is_started(tmp_path: Path, stack: dict[str, str]) -> None:
    taken = int(stack["awsEndpoint"].rpartition(":")[2])
    layout = Layout(tmp_path, taken, free_port(following=1), ("--slot-ms", str(SLOT_MS)))
    try:
        with pytest.raises(PortTakenError, match=str(taken)):
            start(layout, lambda step: None)
    finally:
        stop(layout)


def test_a_chain_that_cannot_start_says_why(tmp_path: Path) -> None:
    layout = layout_in(tmp_path, "--no-such-option")
    try:
        with pytest.raises(ProcessError, match="--no-such-option"):
            start(layout, lambda step: None)
    finally:
        stop(layout)


def test_what_a_killed_process_leaves_behind_is_ended(sleeper: Service) -> None:
    sleeper.start()
    sleeper.wait_until(lambda: sleeper.log.read_text().count("ready") == 2, timeout_seconds=20)
    assert len(sleeper.members()) == 2
    os.kill(json.loads(sleeper.pid_file.read_text())["pid"], signal.SIGKILL)
    assert until(lambda: not sleeper.running())
    assert len(sleeper.members()) == 1, "the child lives on"
    assert sleeper.stop()
    assert sleeper.members() == []


def test_a_pid_that_another_program_has_got_is_left_alone(sleeper: Service, tmp_path: Path) -> None:
    sleeper.start()
    impostor = Service(
        "other", [sys.executable, "another.py"], sleeper.environment, tmp_path, sleeper.log, sleeper.pid_file
    )
    recorded = sleeper.pid_file.read_text()
    sleeper.pid_file.write_text(recorded.replace(str(tmp_path / "sleeper.py"), "another.py"))
    assert not impostor.running()
    assert not impostor.stop()
    sleeper.pid_file.write_text(recorded)
    assert sleeper.running()
