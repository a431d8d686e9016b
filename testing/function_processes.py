"""The processes that the emulator runs functions in: found as its children, told apart by their function, killed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

from infra.local_stack.processes import Service

_PROC = Path("/proc")
_LOOPBACK = "0100007F"


def functions_processes(emulator: Service, function: str = "") -> list[int]:
    """The pids of the emulator's children that run this function, or any. Nothing else is ever killed here."""
    return [pid for pid in emulator.members() if re.search(rf"/ministack-lambda-{re.escape(function)}", _command(pid))]


def kill(emulator: Service, pid: int, function: str = "") -> bool:
    """`kill -9`, if the process is still what it was; whether it was."""
    if pid not in functions_processes(emulator, function):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def caller_of(emulator: Service, port: int) -> int | None:
    """Which of the emulator's children holds the connection that comes from this port of the loopback."""
    if not _PROC.joinpath("self", "net", "tcp").exists():
        return _caller_by_lsof(emulator, port)
    inode = _socket_of(port)
    if inode is None:
        return None
    return next((pid for pid in functions_processes(emulator) if _holds(pid, f"socket:[{inode}]")), None)


def memory_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where it is gone."""
    try:
        if _PROC.joinpath("self", "statm").exists():
            return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return int(shown.stdout or 0) * 1024
    except OSError:
        return 0


def _command(pid: int) -> str:
    try:
        if _PROC.joinpath("self", "cmdline").exists():
            return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout


def _socket_of(port: int) -> str | None:
    wanted = f"{_LOOPBACK}:{port:04X}"
    for line in (_PROC / "self" / "net" / "tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted and fields[9] != "0":
            return fields[9]
    return None


def _holds(pid: int, link: str) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                if str(descriptor.readlink()) == link:
                    return True
    return False


def _caller_by_lsof(emulator: Service, port: int) -> int | None:
    command = ["lsof", "-nP", f"-iTCP@127.0.0.1:{port}", "-sTCP:ESTABLISHED", "-Fp"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = {int(line[1:]) for line in shown.splitlines() if line.startswith("p")}
    return next((pid for pid in functions_processes(emulator) if pid in found), None)
