"""The steps of `make up` on the terminal, each with the time since it began; a long one says that it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

# A person who sees nothing for longer wonders whether anything happens.
QUIET_SECONDS = 5.0


class StepsShown:
    """Call it with each step. Within `with`, a step that takes longer than `quiet_seconds` is named again and again."""

    def __init__(
        self,
        write: Callable[[str], None] = lambda line: print(line, flush=True),
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._write = write
        self._quiet_seconds = quiet_seconds
        self._started = time.monotonic()
        self._step = "starting"
        self._written = self._started
        self._lock = Lock()
        self._ended = Event()
        self._thread = Thread(target=self._go_on, daemon=True)

    def __call__(self, step: str) -> None:
        with self._lock:
            self._step = step
            self._tell(step)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _tell(self, text: str) -> None:
        self._written = time.monotonic()
        self._write(f"[{self._written - self._started:5.1f} s] {text}")

    def _go_on(self) -> None:
        while not self._ended.wait(self._quiet_seconds / 10):
            with self._lock:
                if time.monotonic() - self._written >= self._quiet_seconds:
                    self._tell(f"… since then: {self._step}")
