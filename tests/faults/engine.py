"""A whole running stack whose functions reach Solana and AWS through fault proxies, and whose processes may be killed.

Nothing in the product knows of it: the functions get other addresses and shorter time-outs by their configuration.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import urllib3
from botocore.config import Config

from infra.local_stack import emulator_state
from infra.local_stack.stack import Layout, stop
from testing import function_processes as processes
from testing.chain import Chain
from testing.client import Client, Reply
from testing.emulator import root_session
from testing.fault_proxy import Call, FaultProxy, Held, When
from testing.ports import free_port
from testing.stacks import start
from tests.e2e.sweeper import sweep
from tests.faults.dice import CHAIN
from tests.faults.market import Market
from tests.faults.versions import Versions, plain, plain_order

SLOT_MS = 50
ORDERS_PER_MINUTE = 60_000
# A worker that is killed gives its order back after the sum of the first two.
WORKER_TIMEOUT_SECONDS = 8
LEASE_MARGIN_SECONDS = 1
WATCH_SECONDS = 4
# A message whose worker dies before it has said anything comes back after this.
VISIBILITY_SECONDS = 16
PATIENCE_SECONDS = 240.0

Json = dict[str, Any]


class PastDeadline(Exception):
    """No order was placed by the time at which it would have ended."""


@dataclass
class Engine:
    """The stack, and what a test does to it. `solana` and `aws` stand between the functions and the two."""

    layout: Layout
    description: dict[str, str]
    solana: FaultProxy
    aws: FaultProxy
    versions: Versions

    @cached_property
    def client(self) -> Client:
        return Client(self.description["restUrl"])

    @cached_property
    def chain(self) -> Chain:
        return Chain(self.description["rpcUrl"])

    @property
    def wallet(self) -> str:
        return self.description["wallet"]

    @cached_property
    def market(self) -> Market:
        return Market(self.chain, self.client)

    @cached_property
    def tokens(self) -> dict[str, Json]:
        return {token["symbol"]: token for token in self.client.call("GET", "/tokens").body["tokens"]}

    def boto(self, service: str) -> Any:
        client: Any = root_session(self.description).client
        patient = Config(retries={"mode": "standard", "max_attempts": 5})
        return client(service, endpoint_url=self.description["awsEndpoint"], config=patient)

    @cached_property
    def _dynamodb(self) -> Any:
        return self.boto("dynamodb")

    @cached_property
    def _sqs(self) -> Any:
        return self.boto("sqs")

    # --- orders ---------------------------------------------------------------------------------------------------

    def post(self, body: Json, key: str | None = None) -> Reply:
        """One POST, whatever comes of it. Raises urllib3's errors where no answer comes."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.client.call("POST", "/orders/execute", body, headers)

    def post_until_accepted(self, body: Json, key: str) -> str:
        """What a careful client does: the same request with the same key until it is told the order's id.

        Raises PastDeadline where the order's own deadline came first.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                reply = self.post(body, key)
            except (urllib3.exceptions.HTTPError, ValueError):
                continue
            if reply.status in (200, 202):
                return str(reply.body["orderId"])
            if reply.status == 400 and [error["field"] for error in reply.body["errors"]] == ["expiresAt"]:
                raise PastDeadline
            assert reply.status >= 429, reply
            time.sleep(0.1)
        raise AssertionError("the order is never accepted")

    def cancel(self, order_id: str) -> int:
        """What a client does that wants it cancelled: ask until it is told whether it is; 200 or 409."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                reply = self.client.call("DELETE", f"/orders/{order_id}")
            except (urllib3.exceptions.HTTPError, ValueError):
                continue
            if reply.status in (200, 409):
                return reply.status
            assert reply.status >= 429, reply
            time.sleep(0.1)
        raise AssertionError("nobody says whether the order is cancelled")

    def change(self, order_id: str, changes: Json) -> int:
        """Ask once for a change: 200, or 409 where it comes too late; 0 where nobody answers."""
        try:
            return self.client.call("PATCH", f"/orders/{order_id}", changes).status
        except (urllib3.exceptions.HTTPError, ValueError):
            return 0

    def stored_orders(self) -> dict[str, Json]:
        """Every order as it lies in the table: DynamoDB's plain values by attribute, each by itself."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.description["ordersTable"], ConsistentRead=True
        )
        items = [plain_order(item) for page in pages for item in page["Items"]]
        return {item["orderId"]: item for item in items if item["item"] == "order"}

    @cached_property
    def _control_table(self) -> str:
        return self._output("ControlTable")

    @cached_property
    def _circulations_table(self) -> str:
        return self._output("CirculationsTable")

    def _output(self, key: str) -> str:
        """Of the data stack."""
        (stack,) = self.boto("cloudformation").describe_stacks(StackName="fillrate-local-data")["Stacks"]
        (name,) = [one["OutputValue"] for one in stack["Outputs"] if one["OutputKey"] == key]
        return str(name)

    def counters(self) -> dict[str, int]:
        """What the limits' counters stand at, by name; those at zero aside."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._control_table, ConsistentRead=True)
        items = [plain(item) for page in pages for item in page["Items"]]
        return {item["name"]: item["counted"] for item in items if item.get("counted")}

    def pairs_watched(self) -> set[str]:
        """The pairs of which orders wait, as their circulations have them."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._circulations_table, ConsistentRead=True)
        return {plain(item)["pair"] for page in pages for item in page["Items"]}

    def wait_until_ended(self, order_ids: set[str] | None = None, *, sweeping: bool = False) -> dict[str, Json]:
        """The orders (all there are, if none are named) as soon as each of them has ended.

        They are stuck when none has ended for PATIENCE_SECONDS. `sweeping`: the sweeper is called more often than every
        minute, so that nobody waits for it; it leaves alone what is not overdue.
        """
        fewest_open, deadline = None, 0.0
        while True:
            if sweeping:
                self.sweep()
            orders = self.stored_orders()
            wanted = orders if order_ids is None else {one: orders[one] for one in order_ids}
            open_ones = [order for order in wanted.values() if not is_ended(order)]
            if not open_ones:
                return wanted
            if fewest_open is None or len(open_ones) < fewest_open:
                fewest_open, deadline = len(open_ones), time.monotonic() + PATIENCE_SECONDS
            assert time.monotonic() < deadline, f"{len(open_ones)} orders are stuck: {open_ones[:3]}"
            time.sleep(1.0 if sweeping else 0.3)

    def enqueue_again(self, order_id: str) -> None:
        """SQS delivers at least once: here it is a second message."""
        self._sqs.send_message(QueueUrl=self.description["queueUrl"], MessageBody=f'{{"orderId": "{order_id}"}}')

    def messages(self) -> int:
        """All messages of the orders queue: visible, hidden and delayed."""
        names = ["", "NotVisible", "Delayed"]
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self.description["queueUrl"],
            AttributeNames=[f"ApproximateNumberOfMessages{name}" for name in names],
        )["Attributes"]
        return sum(map(int, attributes.values()))

    def wait_until_drained(self) -> None:
        """Until no message of an order is left, seen or hidden."""
        self.wait_until(lambda: self.messages() == 0)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it never comes to hold"
            time.sleep(0.1)

    def sweep(self) -> None:
        """What the schedule does every minute."""
        sweep(self.boto("lambda"))

    @contextmanager
    def faster_chain(self) -> Iterator[None]:
        """While inside, blocks come four times as fast, so that blockhashes run out in two seconds."""
        over = threading.Event()

        def run() -> None:
            while not over.wait(0.2):
                self.chain.call("localnet_advanceSlots", {"slots": 12})

        thread = threading.Thread(target=run, name="faster-chain", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(PATIENCE_SECONDS)

    def set_faults(self, **faults: float) -> None:
        """The localnet's own: see infra/localnet/README.md. What is not named is off."""
        self.chain.call("localnet_setFaults", faults)

    def hold_one(self, target: str, when: When = When.BEFORE) -> Future[Held]:
        """The next call of this operation to AWS, held; it is answered no more if its caller dies meanwhile."""
        held: Future[Held] = Future()

        def rule(call: Call, now: When) -> Callable[[Held], None] | None:
            if held.running() or held.done() or target not in call.targets or now is not when:
                return None
            held.set_running_or_notify_cancel()
            return held.set_result

        self.aws.rule = rule
        return held

    # --- processes ------------------------------------------------------------------------------------------------

    @property
    def worker_function(self) -> str:
        return self.description["workerFunction"]

    @cached_property
    def watcher_function(self) -> str:
        """How the name of the function begins that looks at the pairs of which orders wait."""
        return self.worker_function.partition("ExecuteOrder")[0] + "WatchPairs"

    def workers(self, function: str | None = None) -> list[int]:
        """The pids of the processes of a function, the worker if none is named."""
        return processes.functions_processes(
            self.layout.emulator(), self.worker_function if function is None else function
        )

    def kill(self, pid: int) -> bool:
        """`kill -9` one of the emulator's function processes."""
        return processes.kill(self.layout.emulator(), pid)

    def busy(self, function: str | None = None) -> list[int]:
        """Those of the function's processes that have just called AWS or Solana: at work, and past their start.

        (A process that dies while it starts makes the emulator end all the others of its function, too.)
        """
        lately = time.monotonic() - 1.0
        called = [
            {pid for pid, at in proxy.last_call.copy().items() if at > lately} for proxy in (self.aws, self.solana)
        ]
        return [pid for pid in self.workers(function) if pid in called[0] | called[1]]

    @contextmanager
    def killer(
        self, dice: Random, every_seconds: tuple[float, float], at_most: int, function: str | None = None
    ) -> Iterator[Kills]:
        """While inside, a busy process of the function (of any function, for "") dies every now and then.

        Not without end: else the last order's worker is the only one left to be killed, and killed every time.
        """
        kills = Kills()
        over = threading.Event()

        def run() -> None:
            while kills.number < at_most and not over.wait(dice.uniform(*every_seconds)):
                while not (pids := self.busy(function)) and not over.wait(0.01):
                    pass
                if pids and self.kill(dice.choice(pids)):
                    kills.number += 1

        thread = threading.Thread(target=run, name="killer", daemon=True)
        thread.start()
        try:
            yield kills
        finally:
            over.set()
            thread.join(PATIENCE_SECONDS)

    def restart_emulator(self) -> None:
        """SIGTERM, and started again on what it saved."""
        emulator = self.layout.emulator()
        assert emulator.stop()
        emulator_state.adopt(self.layout.emulator_state, self.layout.aws_port)
        emulator.start()
        emulator.wait_until(lambda: _answers(f"{self.layout.aws_url}/_ministack/ready"), PATIENCE_SECONDS)

    def restart_chain(self) -> None:
        """SIGTERM, and started again on its ledger."""
        chain = self.layout.localnet()
        assert chain.stop()
        chain.start()
        chain.wait_until(lambda: _answers(f"{self.layout.rpc_url}/health"), PATIENCE_SECONDS)

    def _functions(self) -> list[str]:
        return [one["FunctionName"] for one in self.boto("lambda").list_functions()["Functions"]]

    def reconfigure(self) -> None:
        """Lead the functions' calls through the proxies, and give the worker and its messages shorter times."""
        self._sqs.set_queue_attributes(
            QueueUrl=self.description["queueUrl"], Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        )
        functions = self.boto("lambda")
        for name in self._functions():
            configuration = functions.get_function_configuration(FunctionName=name)
            variables = configuration["Environment"]["Variables"] | {"AWS_ENDPOINT_URL": self.aws.url}
            timeout = configuration["Timeout"]
            if name.startswith(self.watcher_function):
                variables |= {"SOLANA_RPC_URL": self.solana.url}
            if name == self.worker_function:
                timeout = WORKER_TIMEOUT_SECONDS
                variables |= {
                    "SOLANA_RPC_URL": self.solana.url,
                    "WORKER_TIMEOUT_SECONDS": str(WORKER_TIMEOUT_SECONDS),
                    "LEASE_MARGIN_SECONDS": str(LEASE_MARGIN_SECONDS),
                    "WATCH_SECONDS": str(WATCH_SECONDS),
                }
            functions.update_function_configuration(
                FunctionName=name, Timeout=timeout, Environment={"Variables": variables}
            )


@dataclass
class Kills:
    number: int = 0


@contextmanager
def running_engine(directory: Path, report: Callable[[str], None], *localnet_arguments: str) -> Iterator[Engine]:
    """A stack of its own in `directory`, on free ports, ended on leaving."""
    layout = Layout(
        directory,
        aws_port=free_port(),
        rpc_port=free_port(following=1),
        localnet_arguments=("--chain", CHAIN, "--slot-ms", str(SLOT_MS), *localnet_arguments),
        orders_per_minute=ORDERS_PER_MINUTE,
    )

    def caller(port: int) -> int | None:
        return processes.caller_of(layout.emulator(), port)

    code = _in_memory(layout)
    try:
        description = start(layout, report)
        with FaultProxy(layout.rpc_url, caller) as solana, FaultProxy(layout.aws_url, caller) as aws:
            engine = Engine(layout, description, solana, aws, Versions())
            aws.watch = engine.versions.see
            engine.reconfigure()
            yield engine
    finally:
        stop(layout)
        if code is not None:
            shutil.rmtree(code, ignore_errors=True)


def _in_memory(layout: Layout) -> Path | None:
    """Unpack the functions' code into memory where there is such a place: every process killed unpacks it once more."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        return None
    code = Path(tempfile.mkdtemp(dir=memory))
    layout.temporary.symlink_to(code)
    return code


def is_ended(order: Json) -> bool:
    return order["state"] in ("confirmed", "failed", "cancelled", "expired")


def _answers(url: str) -> bool:
    try:
        answer = urllib3.request("GET", url, timeout=5, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    ready = b"completed" in answer.data or answer.data == b"ok" or b"ready" in urlsplit(url).path.encode()
    return answer.status == 200 and ready
