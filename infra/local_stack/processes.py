"""Detached processes of the local stack: started once, known by their pid file, ended with all that they started.

A pid file names the leader of a process group, with its command; a pid that the system has given to another program
since is recognised by the command and left alone.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.05
# What a process writes is for its owner alone: state, logs, secrets, code.
PRIVATE = 0o077
# So many logs of earlier starts are kept.
LOGS_KEPT = 5
# How long the children of what is being stopped may go on before they are ended.
_GRACE_SECONDS = 2.0
# What was killed has no command any more before the system closes its ports: a busy machine takes tenths of a second.
_PORT_GRACE_SECONDS = 3.0
# Held so that a process started and stopped by the same program is reaped.
_children: dict[int, subprocess.Popen[bytes]] = {}


class ProcessError(Exception):
    """A process can't be started or doesn't get ready; the text says why, with the end of its log."""


class PortTakenError(ProcessError):
    """Another program listens on the port, or this user may not."""

    def __init__(self, port: int, why: str = "is taken by another program") -> None:
        super().__init__(f"port {port} {why}")
        self.port = port


@dataclass(frozen=True, slots=True)
class Service:
    """A process of the local stack: how to start it and where its pid and log files are.

    `inherited` is what it gets of the shell besides `environment`: with other values of these it is the same process.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    working_directory: Path
    log: Path
    pid_file: Path
    ports: tuple[int, ...] = ()
    inherited: dict[str, str] = field(default_factory=dict)

    def running(self) -> bool:
        """Whether it runs, with this very command and environment."""
        recorded = self._recorded()
        return recorded is not None and recorded == self._record(recorded["pid"]) and _leader_runs(recorded)

    def start(self) -> None:
        """Start it in a process group of its own that outlives the caller."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        _rotate(self.log)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command,
                env=self.inherited | self.environment,
                cwd=self.working_directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=PRIVATE,
            )
        _children[process.pid] = process
        self.pid_file.write_text(json.dumps(self._record(process.pid)))

    def wait_until(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Wait until it is `ready`. Raises ProcessError if it ends or isn't ready in time."""
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            recorded = self._recorded()
            if recorded is None or _has_ended(recorded):
                raise ProcessError(f"{self.name} ended while starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} isn't ready after {timeout_seconds:.0f} s:\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def stop(self, timeout_seconds: float = 40) -> bool:
        """End it and all that it started, as gently as it lets itself; returns whether anything ran."""
        recorded = self._recorded()
        if recorded is None:
            return False
        ran = bool(_group(recorded))
        if _leader_runs(recorded):
            # To the leader alone: it saves its state and ends its workers itself.
            os.kill(recorded["pid"], signal.SIGTERM)
            _wait_for_end(recorded, timeout_seconds)
        for pid in _group(recorded):
            _kill(pid)
        _wait(lambda: not _group(recorded), timeout_seconds)
        if ran:
            _wait_for_ports(recorded.get("ports", ()))
        self.pid_file.unlink(missing_ok=True)
        return ran

    def members(self) -> list[int]:
        """The pids of what it started and still lives: itself and its children, or what it has left behind."""
        recorded = self._recorded()
        return _group(recorded) if recorded is not None else []

    def held_ports(self) -> tuple[int, ...]:
        """The ports of what it started earlier, and that still runs."""
        recorded = self._recorded()
        return tuple(recorded.get("ports", ())) if recorded is not None and _group(recorded) else ()

    def log_tail(self, lines: int = 20) -> str:
        """The end of its log."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])

    def _record(self, pid: int) -> dict[str, object]:
        return {"pid": pid, "command": self.command, "environment": self.environment, "ports": list(self.ports)}

    def _recorded(self) -> dict[str, Any] | None:
        try:
            recorded = json.loads(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return recorded if isinstance(recorded, dict) and not self._is_anothers(recorded) else None

    def _is_anothers(self, recorded: dict[str, Any]) -> bool:
        """Whether the pid file came here with a copy of another directory, which is still there."""
        theirs, ours = (Path(one["TMPDIR"]).parent for one in (recorded["environment"], self.environment))
        return theirs != ours and theirs.exists() and not (ours.exists() and theirs.samefile(ours))


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """What is written meanwhile is for its owner alone: the directory has keys, orders and a wallet."""
    before = os.umask(PRIVATE)
    try:
        yield
    finally:
        os.umask(before)


def check_ports(services: Sequence[Service]) -> None:
    """Raises PortTakenError where a service that is to be started would find a port taken by another program.

    What the services themselves hold is free once they are stopped, and in a moment where one of them was killed.
    """
    held = {port for service in services for port in service.held_ports()}
    needed = [port for service in services if not service.running() for port in service.ports if port not in held]
    _wait_for_ports(needed)
    for port in needed:
        check_port_free(port)


def check_port_free(port: int) -> None:
    """Raises PortTakenError if something listens on `port` of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As a server would: a connection that has just ended doesn't keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise PortTakenError(port, "is for root alone") from error
        except OSError as error:
            raise PortTakenError(port) from error


def is_port_free(port: int) -> bool:
    """Whether nothing listens on `port` of this machine, and this user may."""
    try:
        check_port_free(port)
    except PortTakenError:
        return False
    return True


def _wait_for_ports(ports: Sequence[int]) -> None:
    """Wait for what was killed to give them up; not for another program."""
    _wait(lambda: all(is_port_free(port) for port in ports), _PORT_GRACE_SECONDS)


def _rotate(log: Path) -> None:
    """Keep what the last few starts have logged, as log.1 (the latest), log.2, …"""
    for number in range(LOGS_KEPT, 0, -1):
        former = log if number == 1 else log.with_name(f"{log.name}.{number - 1}")
        if former.exists():
            former.replace(log.with_name(f"{log.name}.{number}"))


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    group: int
    command: str


def _processes() -> list[_Process]:
    """Every living process of this machine."""
    if Path("/proc/self/stat").exists():
        return [found for entry in Path("/proc").glob("[0-9]*") if (found := _from_proc(entry))]
    lines = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,command="], capture_output=True, text=True, check=True).stdout
    fields = (line.split(None, 2) for line in lines.splitlines())
    return [_Process(int(pid), int(group), command[0]) for pid, group, *command in fields if command]


def _from_proc(entry: Path) -> _Process | None:
    try:
        command = (entry / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        # The group is the third field after the name, which is in parentheses and may hold anything.
        group = int((entry / "stat").read_text().rpartition(")")[2].split()[2])
    except OSError:
        return None  # ended meanwhile
    return _Process(int(entry.name), group, command) if command else None  # a zombie has no command


def _has_ended(recorded: dict[str, Any]) -> bool:
    child = _children.get(recorded["pid"])
    # the system shows a process that has just been started without a command for a moment, as it does a dead one
    return child.poll() is not None if child is not None else not _leader_runs(recorded)


def _leader_runs(recorded: dict[str, Any]) -> bool:
    return any(process.pid == recorded["pid"] and _same_command(process, recorded) for process in _processes())


def _same_command(process: _Process, recorded: dict[str, Any]) -> bool:
    # Without the program's own name: macOS's Python shows another one than it was started by.
    return process.command.endswith(" ".join(recorded["command"][1:]))


def _group(recorded: dict[str, Any]) -> list[int]:
    """The pids of what was started: the leader and its children, or those that a dead leader has left behind."""
    members = [process for process in _processes() if process.group == recorded["pid"]]
    leader = next((process for process in members if process.pid == recorded["pid"]), None)
    if leader is not None:
        return [process.pid for process in members] if _same_command(leader, recorded) else []
    return [process.pid for process in members if recorded["environment"]["TMPDIR"] in process.command]


def _wait_for_end(recorded: dict[str, Any], timeout_seconds: float) -> None:
    """Wait for the leader; every now and then end the children that it in turn may wait for.

    The emulator has the functions of open WebSockets run to their end before it saves its state, while they ask it in
    vain for their tables: with a page open and orders on their way that took minutes.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        _wait(lambda: not _leader_runs(recorded), _GRACE_SECONDS)
        if not _leader_runs(recorded) or time.monotonic() > deadline:
            return
        for pid in _group(recorded):
            if pid != recorded["pid"]:
                _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _wait(done: Callable[[], bool], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not done() and time.monotonic() < deadline:
        for child in _children.values():
            child.poll()
        time.sleep(_POLL_SECONDS)
