"""A burst of orders while other programs keep every core busy, and while processes of functions die as they start.

All of them end, and the emulator's processes and their code stay few.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

from infra.local_stack.processes import Service
from infra.local_stack.stack import Layout, stop
from testing.client import Client
from testing.function_processes import functions_processes, kill
from testing.ports import free_port
from testing.stacks import start
from tests.e2e.conftest import ORDERS_PER_MINUTE, SLOT_MS
from tests.faults.dice import FULL

pytestmark = pytest.mark.skipif(not FULL, reason="make faults: it takes minutes, and every core")

ORDERS = 150
STARTS_KILLED = 12
# Orders wait for one another on a busy machine; nothing is measured.
PATIENCE_SECONDS = 900.0
ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.01"}


@dataclass(frozen=True)
class Stack:
    emulator: Service
    code: Path
    client: Client

    def code_folders(self) -> list[Path]:
        return list(self.code.glob("ministack-lambda-*"))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """One that nobody has used: each function's first process is still to start."""
    layout = Layout(
        tmp_path,
        aws_port=free_port(),
        rpc_port=free_port(following=1),
        localnet_arguments=("--slot-ms", str(SLOT_MS)),
        orders_per_minute=ORDERS_PER_MINUTE,
    )
    try:
        description = start(layout, print)
        yield Stack(layout.emulator(), layout.temporary, Client(description["restUrl"]))
    finally:
        stop(layout)


@contextmanager
def busy_cores() -> Iterator[None]:
    """Twice as many programs as there are cores, that do nothing but compute."""
    computing = [sys.executable, "-c", "while True: pass"]
    programs = [subprocess.Popen(computing) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


@contextmanager
def dying_starts(emulator: Service, number: int) -> Iterator[list[int]]:
    """The next processes of functions are killed as soon as they are seen; yields their pids."""
    killed: list[int] = []
    known, over = set(functions_processes(emulator)), threading.Event()

    def run() -> None:
        while len(killed) < number and not over.is_set():
            for pid in functions_processes(emulator):
                if pid not in known and len(killed) < number and kill(emulator, pid):
                    killed.append(pid)
                known.add(pid)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def post_all(client: Client) -> list[str]:
    """All at once, each as a careful client does it: again with the same key where no good answer comes."""

    def post(key: str) -> str:
        while True:
            try:
                reply = client.call("POST", "/orders/execute", ORDER, {"Idempotency-Key": key})
            except urllib3.exceptions.HTTPError:
                continue
            if reply.status in (200, 202):
                return str(reply.body["orderId"])
            assert reply.status >= 429, reply

    with ThreadPoolExecutor(ORDERS) as pool:
        return list(pool.map(post, [str(uuid.uuid4()) for _ in range(ORDERS)]))


def ends(client: Client, order_ids: list[str]) -> set[str]:
    return {str(client.ended(order_id, PATIENCE_SECONDS)["status"]) for order_id in order_ids}


def test_orders_posted_at_once_on_a_busy_machine_all_end(stack: Stack) -> None:
    with busy_cores():
        assert ends(stack.client, post_all(stack.client)) == {"confirmed"}
    assert len(functions_processes(stack.emulator)) < ORDERS
    # Between the two looks a process may have ended, or one have begun.
    assert len(stack.code_folders()) < ORDERS


def test_processes_that_die_before_they_are_ready_hold_up_no_order(stack: Stack) -> None:
    with dying_starts(stack.emulator, STARTS_KILLED) as killed:
        assert ends(stack.client, post_all(stack.client)) == {"confirmed"}
    assert len(killed) == STARTS_KILLED
    assert "Warm worker execution error" not in stack.emulator.log.read_text(errors="replace")
