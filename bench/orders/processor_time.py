"""How much processor time each part of a stack takes: the functions by kind, the emulator, the chain.

Read from /proc, which only Linux has; elsewhere nothing is told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread

from infra.local_stack.stack import Layout
from testing.function_processes import functions_processes

CLIENTS = "clients"
_SAMPLED_EACH_SECONDS = 2.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class ProcessorTime:
    """From its making on. `kinds` tells what each process that lives now is; one that ends counts as last seen."""

    def __init__(self, kinds: Callable[[], Mapping[int, str]]) -> None:
        self._kinds = kinds
        self._kind_of: dict[int, str] = {}
        self._taken: dict[int, float] = {}
        self._before = {pid: _seconds_of(pid) for pid in kinds()}
        self._own = time.process_time()
        self._ended = Event()
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, float]:
        """Seconds by kind, this process's own as CLIENTS."""
        own = time.process_time() - self._own
        self._ended.set()
        self._thread.join()
        self._sample()
        taken: dict[str, float] = {}
        for pid, seconds in self._taken.items():
            kind = self._kind_of[pid]
            taken[kind] = taken.get(kind, 0.0) + seconds - self._before.get(pid, 0.0)
        return {**taken, CLIENTS: own} if taken else {}

    def _look(self) -> None:
        while not self._ended.wait(_SAMPLED_EACH_SECONDS):
            self._sample()

    def _sample(self) -> None:
        for pid, kind in self._kinds().items():
            self._kind_of[pid] = kind
            self._taken[pid] = max(_seconds_of(pid), self._taken.get(pid, 0.0))


def kinds_of(layout: Layout, functions: Mapping[str, str]) -> dict[int, str]:
    """What each process of a stack is: a function's short name (`functions` has the deployed one), emulator, chain."""
    emulator, chain = layout.emulator(), layout.localnet()
    kinds = dict.fromkeys(emulator.members(), "emulator") | dict.fromkeys(chain.members(), "chain")
    for short, name in functions.items():
        kinds |= dict.fromkeys(functions_processes(emulator, name), short)
    return kinds


def _seconds_of(pid: int) -> float:
    """User and system time of a process, in seconds; 0 where it is gone. Source: proc_pid_stat(5), utime and stime."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
