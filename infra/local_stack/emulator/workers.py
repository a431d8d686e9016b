"""Corrects how MiniStack keeps the processes that functions run in.

As it is, one process that fails to start has all of its function's processes killed, those at work and those starting,
and their code folders deleted; each of them then fails, and does the same to those started meanwhile. And it starts
one for each request that finds none free, however many there are. Here the failed one alone goes, with its folder, and
is replaced; a function has few that start at once, and a request that would need one more takes the first to be free.
Where some run, a request waits for one of them for a moment: most calls are over long before a process has started,
which takes a core, or both, from those at work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

_log = logging.getLogger("lambda_runtime")

# A start takes one core for as long as the function's imports do: more of them at once are not ready sooner.
STARTS_AT_ONCE = 2
# Several calls of the API long, and a fraction of a start.
FREE_SOON_SECONDS = 0.1
# The handler has not been called when a start fails, so it may be repeated.
_STARTS_TRIED = 3
# Longer than any start on a busy machine: one that hangs must not hold its place for ever.
_START_SECONDS = 120.0
# How long to wait for a place before looking again, where a worker went without anybody being told.
_LOOK_AGAIN_SECONDS = 1.0

# MiniStack's own class. Two attributes are added to it: `function`, and whether it `holds_place` among those starting.
Worker = Any
Invoke = Callable[..., dict[str, Any]]


class WorkerPool:
    """MiniStack's workers, and how many of each function are starting. `runtime` is ministack.core.lambda_runtime."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._lock: threading.Lock = runtime._lock
        self._starting: dict[str, int] = {}
        # Where the requests of one function wait.
        self._changes: dict[str, threading.Condition] = {}

    def acquire(
        self, func_name: str, config: dict[str, Any], code_zip: bytes, qualifier: str = "$LATEST"
    ) -> tuple[Worker, str]:
        """Stands in for acquire_worker: a free worker, or a new one once there is a place to start it in."""
        function = self._runtime._worker_key(func_name, config, qualifier)
        with self._lock:
            change = self._changes.setdefault(function, threading.Condition(self._lock))
            # A deploy meanwhile puts another list in its place: what this code starts then serves nobody else.
            of_this_code = self._runtime._workers.setdefault(function, [])
            patient_until = time.monotonic() + FREE_SOON_SECONDS
            while True:
                workers = self._runtime._workers.get(function, [])
                free = [worker for worker in workers if not worker.in_use]
                running = next((worker for worker in free if _runs(worker)), None)
                if running is not None:
                    return _leased(running), "reused"
                soon_seconds = patient_until - time.monotonic()
                if soon_seconds > 0 and any(_runs(worker) and not worker.holds_place for worker in workers):
                    change.wait(soon_seconds)
                elif self._starting.get(function, 0) < STARTS_AT_ONCE:
                    worker = free[0] if free else self._runtime._worker_class_for(config)(func_name, config, code_zip)
                    if not free:
                        of_this_code.append(worker)
                    worker.function, worker.holds_place = function, True
                    self._starting[function] = self._starting.get(function, 0) + 1
                    return _leased(worker), "spawn"
                else:
                    change.wait(_LOOK_AGAIN_SECONDS)

    def release(self, worker: Worker | None) -> None:
        """Stands in for release_worker. One that was taken out of its pool meanwhile, as by a deploy, is ended."""
        if worker is None:
            return
        with self._lock:
            self._give_up_place(worker)
            worker.in_use = False
            is_ours = worker in self._runtime._workers.get(worker.function, [])
            self._tell(worker.function)
        if not is_ours:
            self._runtime.kill_workers([worker])

    def started(self, worker: Worker) -> None:
        """Its start is over, well or not: another one may begin."""
        with self._lock:
            self._give_up_place(worker)

    def drop(self, worker: Worker) -> None:
        """Take this worker out, and no other; its release then ends it."""
        with self._lock:
            workers = self._runtime._workers.get(worker.function, [])
            if worker in workers:
                workers.remove(worker)

    def _give_up_place(self, worker: Worker) -> None:
        if worker.holds_place:
            worker.holds_place = False
            self._starting[worker.function] -= 1
            self._tell(worker.function)

    def _tell(self, function: str) -> None:
        self._changes[function].notify_all()


def corrected(pool: WorkerPool, invoke: Invoke) -> Invoke:
    """Stands in for Worker.invoke: starts the process first, again if that fails, and never ends another worker's."""

    def corrected_invoke(worker: Worker, *arguments: Any, **named: Any) -> dict[str, Any]:
        try:
            is_cold = _ensure_started(pool, worker)
            result = invoke(worker, *arguments, **named)
        except Exception as error:  # noqa: BLE001 - let out, it has MiniStack kill all of the function's workers
            _log.error("Lambda worker of %s dropped: %s", worker.func_name, error)
            pool.drop(worker)
            return {"status": "error", "error": str(error), "cold_start": True, "log": ""}
        if worker._proc is None:
            worker._discard_tmpdir()
        return {**result, "cold_start": is_cold or result.get("cold_start", False)}

    return corrected_invoke


def _ensure_started(pool: WorkerPool, worker: Worker) -> bool:
    """Whether its process had to be started. Raises what the last of the starts failed with."""
    try:
        with worker._lock:
            if _runs(worker):
                return False
            for left in reversed(range(_STARTS_TRIED)):
                try:
                    _start(worker)
                    break
                except Exception as error:
                    _end(worker)
                    if not left:
                        raise
                    _log.warning("Lambda worker of %s failed to start, once more: %s", worker.func_name, error)
            return True
    finally:
        pool.started(worker)


def _start(worker: Worker) -> None:
    overdue = threading.Timer(_START_SECONDS, _end, [worker])
    overdue.daemon = True
    overdue.start()
    try:
        worker._spawn()
        worker._cold = False
    finally:
        overdue.cancel()


def _end(worker: Worker) -> None:
    process = worker._proc
    if process is not None:
        process.kill()
        process.wait()


def _leased(worker: Worker) -> Worker:
    worker.in_use = True
    worker.last_used = time.time()
    return worker


def _runs(worker: Worker) -> bool:
    process = worker._proc
    return process is not None and process.poll() is None
