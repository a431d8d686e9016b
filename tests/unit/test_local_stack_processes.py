"""A stack's processes: whose they are, which ports they need, and what they have logged."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local_stack.processes import LOGS_KEPT, PortTakenError, Service, check_port_free, check_ports
from infra.local_stack.stack import Layout
from testing.ports import free_port


def service_in(directory: Path, *ports: int, said: str = "ready", name: str = "sleeper") -> Service:
    """A process that does nothing; it doesn't take its ports."""
    (directory / "tmp").mkdir(parents=True, exist_ok=True)
    script = directory / "sleeper.py"
    script.write_text("import sys, time\nprint(sys.argv[1], flush=True)\ntime.sleep(600)\n")
    return Service(
        name=name,
        command=[sys.executable, str(script), said],
        environment={"TMPDIR": str(directory / "tmp")},
        working_directory=directory,
        log=directory / "logs" / f"{name}.log",
        pid_file=directory / "pids" / f"{name}.json",
        ports=ports,
    )


def started(service: Service) -> Service:
    """Runs, as the system shows it too, which takes a moment."""
    service.start()
    service.wait_until(lambda: service.log.read_text() != "", timeout_seconds=30)
    return service


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_every_port_of_every_service_is_looked_at_before_one_is_started(tmp_path: Path, taken: int) -> None:
    free = free_port()
    check_ports([service_in(tmp_path, free)])
    with pytest.raises(PortTakenError, match=f"port {taken} is taken by another program") as error:
        check_ports([service_in(tmp_path, free), service_in(tmp_path, free, taken, name="other")])
    assert error.value.port == taken


def test_a_port_whose_holder_was_killed_a_moment_ago_is_waited_for(tmp_path: Path) -> None:
    # A killed process is gone from the system's list before its port is free.
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        closing = threading.Timer(0.3, server.close)
        closing.start()
        check_ports([service_in(tmp_path, port)])
        assert not closing.is_alive()
    running = started(service_in(tmp_path, port))
    with socket.create_server(("127.0.0.1", port)) as server:
        threading.Timer(0.3, server.close).start()
        assert running.stop()
        check_port_free(port)


def test_what_a_service_holds_itself_is_free_for_what_comes_in_its_place(tmp_path: Path, taken: int) -> None:
    running = started(service_in(tmp_path, taken))
    try:
        assert running.held_ports() == (taken,)
        changed = service_in(tmp_path, taken, said="another")
        assert not changed.running()
        check_ports([changed, service_in(tmp_path, taken, name="other")])
    finally:
        assert running.stop()
    assert running.held_ports() == ()
    with pytest.raises(PortTakenError):
        check_ports([changed])


def test_another_shells_proxy_reaches_it_and_does_not_make_it_another_process(tmp_path: Path) -> None:
    script = "import os, time; print(os.environ['HTTPS_PROXY'], flush=True); time.sleep(600)"
    service = replace(service_in(tmp_path), command=[sys.executable, "-c", script])
    running = started(replace(service, inherited={"HTTPS_PROXY": "http://proxy.example"}))
    try:
        assert running.log.read_text().strip() == "http://proxy.example"
        assert service.running()
        assert not replace(service, environment=service.environment | {"OTHER": "1"}).running()
    finally:
        assert running.stop()


def test_the_localnets_way_out_is_the_shells_and_no_setting_of_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Layout(tmp_path).localnet()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "AWS_PROFILE", "AWS_ENDPOINT_URL", "SOLANA_RPC_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    dirty = Layout(tmp_path)
    assert dirty.localnet().environment == plain.environment
    assert dirty.localnet().inherited.keys() - plain.inherited.keys() == {"HTTPS_PROXY"} - plain.inherited.keys()
    assert "http://127.0.0.1:9" not in {*dirty.emulator().environment.values(), *dirty.emulator().inherited.values()}


def test_a_copy_of_a_directory_does_not_stop_what_runs_in_the_original(tmp_path: Path) -> None:
    original = started(service_in(tmp_path / "original"))
    try:
        copy = service_in(tmp_path / "copy")
        copy.pid_file.parent.mkdir()
        copy.pid_file.write_text(original.pid_file.read_text())
        assert not copy.running()
        assert not copy.stop()
        assert original.running()
    finally:
        assert original.stop()


def test_a_directory_that_was_moved_still_has_its_processes(tmp_path: Path) -> None:
    started(service_in(tmp_path / "before"))
    (tmp_path / "before").rename(tmp_path / "after")
    after = service_in(tmp_path / "after")
    assert after.members()
    assert after.stop()


def test_the_logs_of_earlier_starts_are_kept_but_not_all(tmp_path: Path) -> None:
    starts = LOGS_KEPT + 3
    for number in range(starts):
        started(service_in(tmp_path, said=f"start {number}")).stop()
    names = ["sleeper.log", *(f"sleeper.log.{number}" for number in range(1, LOGS_KEPT + 1))]
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == sorted(names)
    said = [(tmp_path / "logs" / name).read_text().strip() for name in names]
    assert said == [f"start {number}" for number in range(starts - 1, starts - LOGS_KEPT - 2, -1)]
