"""Runs orders on a stack of their own and counts what each of them takes: calls, units, milliseconds, bytes."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

from websockets.exceptions import InvalidStatus

from bench.cost.capacity import item_bytes
from bench.cost.counting import AwsCounter, SolanaCounter, tables_of
from chalicelib.amounts import ceil_div
from chalicelib.aws.dynamodb.attribute_values import deserialize
from chalicelib.aws.dynamodb.order_item import item_to_order
from infra.local_stack.stack import Layout, start, stop
from testing import function_processes as processes
from testing.chain import Chain
from testing.client import Client, follow
from testing.emulator import root_session
from testing.fault_proxy import FaultProxy
from testing.ports import free_port

Json = dict[str, Any]

# What one order trades: a single pool's swap, a split or a hop, whatever the router finds best.
ORDERS = (("SOL", "USDC", "0.7"), ("USDC", "SOL", "100"), ("JUP", "USDC", "240"), ("USDC", "BONK", "100"))
AT_ONCE = 3
WARM_UP = 8
SETTLE_SECONDS = 3.0
PATIENCE_SECONDS = 120.0
SQS_OPERATIONS = ("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
# The lines that Lambda itself writes for each invocation (START, END, REPORT), about.
PLATFORM_LOG_BYTES = 330
# What CloudWatch Logs counts besides an event's text:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
EVENT_OVERHEAD_BYTES = 26


@dataclass
class Measurement:
    """What a number of confirmed orders took. Keys are `function operation`, `function table`, or a function."""

    orders: int
    aws_calls: dict[str, int]
    solana_calls: dict[str, int]
    write_units: dict[str, int]
    read_units: dict[str, str]
    invocation_ms: dict[str, list[int]]
    memory_mb: dict[str, int]
    log_bytes: int
    rest_requests: int
    rest_bytes_out: int
    websocket_messages: int
    websocket_bytes_out: int
    connection_seconds: list[float]
    order_ms: list[int]
    step_ms: dict[str, list[int]]
    item_bytes: int
    compute_units: list[int]
    fee_lamports: list[int]
    sweep_ms: int
    sweep_reads: int
    sweep_requests: int
    machine: str

    def to_json(self) -> str:
        """As `load` reads it."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Measurement:
        return cls(**json.loads(path.read_text()))


def measure(orders: int, machine: str, report: Callable[[str], None]) -> Measurement:
    """Place so many orders, a few at once, each with a watcher, on a chain with slots of 200 ms."""
    with counted_stack(report) as bench:
        bench.lead_through()
        report(f"{orders} orders")
        return bench.counted(orders, machine)


@dataclass(frozen=True, slots=True)
class Traded:
    order: Json
    posted_bytes: int
    messages: list[Json]
    connected_seconds: float


class CountedStack:
    """A running stack, whose functions' calls pass counting proxies once `lead_through` has said so."""

    aws_url: str
    solana_url: str

    def __init__(self, layout: Layout, description: dict[str, str], report: Callable[[str], None]) -> None:
        self.layout = layout
        self.description = description
        self._report = report
        self._client = Client(description["restUrl"])
        self._chain = Chain(description["rpcUrl"])
        self.functions = {_short(name): name for name in self._deployed()}
        self._of_pid: dict[int, str] = {}
        dynamodb = self._boto("dynamodb")
        names = {name: _short(name) for name in dynamodb.list_tables()["TableNames"]}
        self.aws = AwsCounter(tables_of(dynamodb), names, self._function_of)
        self.solana = SolanaCounter(self._function_of)
        self._log_from_ms = 0
        self._connections = 0

    def lead_through(self) -> None:
        """Give the functions the proxies' addresses, and let them tell how long each invocation took."""
        client = self._boto("lambda")
        for name in self.functions.values():
            variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            variables |= {"AWS_ENDPOINT_URL": self.aws_url, "SOLANA_RPC_URL": self.solana_url, "LOG_LEVEL": "DEBUG"}
            client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    def counted(self, orders: int, machine: str) -> Measurement:
        """Place so many orders, after some that are not counted, on functions that are led through the proxies."""
        for order in islice(cycle(ORDERS), WARM_UP):
            # a function whose start takes longer than its time-out refuses a connection: none of what is measured
            with suppress(InvalidStatus):
                self._one(order)
        self.settle()
        self.forget()
        traded = self.trade(orders)
        self.settle()
        return self.result(traded, machine)

    def trade(self, number: int) -> list[Traded]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._one, islice(cycle(ORDERS), number)))

    def settle(self) -> None:
        """Until the functions have nothing more to do about these orders."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        before, still_since = -1, time.monotonic()
        while time.monotonic() - still_since < SETTLE_SECONDS and time.monotonic() < deadline:
            calls = sum(self.aws.counts.calls.values())
            if calls != before:
                before, still_since = calls, time.monotonic()
            time.sleep(0.1)

    def forget(self) -> None:
        self.aws.clear()
        self.solana.calls.clear()
        self._log_from_ms = time.time_ns() // 1_000_000

    def result(self, traded: list[Traded], machine: str) -> Measurement:
        counts = self.aws.counts
        self._connections = len(traded)
        invocation_ms, log_bytes = self._logged()
        items = [self._stored(one.order["orderId"]) for one in traded]
        landed = [self._chain.transaction(one.order["txHash"]) for one in traded]
        orders = [item_to_order(deserialize(item)) for item in items]
        steps: dict[str, list[int]] = defaultdict(list)
        for order in orders:
            for one, following in pairwise(order.history):
                steps[one.status.value].append(following.at_ms - one.at_ms)
        return Measurement(
            orders=len(traded),
            aws_calls=_named(counts.calls),
            solana_calls=_named(self.solana.calls),
            write_units=_named(counts.write_units),
            read_units={" ".join(key): str(units) for key, units in sorted(counts.read_units.items()) if units},
            invocation_ms=invocation_ms,
            memory_mb=self._memory(),
            log_bytes=log_bytes,
            rest_requests=len(traded),
            rest_bytes_out=sum(one.posted_bytes for one in traded),
            websocket_messages=sum(len(one.messages) for one in traded),
            websocket_bytes_out=sum(len(json.dumps(message)) for one in traded for message in one.messages),
            connection_seconds=[round(one.connected_seconds, 3) for one in traded],
            order_ms=[one.updated_at_ms - one.created_at_ms for one in orders],
            step_ms=dict(steps),
            item_bytes=max(item_bytes(item) for item in items),
            compute_units=[transaction["meta"]["computeUnitsConsumed"] for transaction in landed],
            fee_lamports=[transaction["meta"]["fee"] for transaction in landed],
            **self._sweep(),
            machine=machine,
        )

    def _sweep(self) -> dict[str, int]:
        """One run of the sweeper that finds nothing to do, as one each minute: its ms, reads and SQS requests."""
        self.aws.clear()
        event = dict.fromkeys(("version", "account", "region", "detail-type", "source", "time", "id"), "")
        payload = json.dumps({**event, "detail": {}, "resources": []}).encode()
        self._boto("lambda").invoke(FunctionName=self.functions["Sweep"], Payload=payload)
        began = time.monotonic()
        answer = self._boto("lambda").invoke(FunctionName=self.functions["Sweep"], Payload=payload)
        took_ms = int((time.monotonic() - began) * 1000)
        assert "FunctionError" not in answer, answer["Payload"].read()
        calls = {name: number // 2 for (function, name), number in self.aws.counts.calls.items() if function == "Sweep"}
        sqs = sum(number for name, number in calls.items() if name in SQS_OPERATIONS)
        return {"sweep_ms": took_ms, "sweep_reads": sum(calls.values()) - sqs, "sweep_requests": sqs}

    def _one(self, order: tuple[str, str, str]) -> Traded:
        token_in, token_out, amount = order
        accepted = self._client.execute(token_in, token_out, amount, slippage="0.05")
        began = time.monotonic()
        messages = follow(accepted["wsUrl"])
        connected = time.monotonic() - began
        last = messages[-1]
        assert last["status"] == "confirmed", f"an order that isn't confirmed measures something else: {last}"
        return Traded(last | {"orderId": accepted["orderId"]}, len(json.dumps(accepted)), messages, connected)

    def _function_of(self, pid: int | None) -> str:
        if pid is None:
            return "?"
        if pid not in self._of_pid:
            for short, name in self.functions.items():
                self._of_pid.update(dict.fromkeys(processes.functions_processes(self.layout.emulator(), name), short))
        return self._of_pid.get(pid, "?")

    def _logged(self) -> tuple[dict[str, list[int]], int]:
        """Milliseconds of each invocation by function, and how many bytes went to CloudWatch Logs.

        MiniStack keeps no log of the WebSocket functions: their times are those between their calls, and their lines
        are taken to be as long as the others' first.
        """
        durations: dict[str, list[int]] = defaultdict(list)
        written = first_lines = 0
        for message in self._messages():
            line = _json_in(message)
            if line is not None and line.get("level") == "DEBUG":
                if line["message"] == "done":
                    durations[_short(line["function"])].append(line["ms"])
                continue
            written += len(message.encode()) + EVENT_OVERHEAD_BYTES
            first_lines += len(message.encode()) if line is not None and line.get("message") == "invoked" else 0
        logged = sum(map(len, durations.values()))
        for function, calls in self._unlogged(durations).items():
            durations[function] = [ceil_div(self.aws.busy_ms(function), calls)] * calls
            written += calls * (PLATFORM_LOG_BYTES + 4 * EVENT_OVERHEAD_BYTES + first_lines // max(1, logged))
        return dict(durations), written

    def _unlogged(self, durations: dict[str, list[int]]) -> dict[str, int]:
        """How often each function ran that has no log: each connection is one $connect and one $disconnect."""
        seen = {function for function, _ in self.aws.counts.calls} - durations.keys()
        return {function: self._connections for function in sorted(seen) if function != "?"}

    def _messages(self) -> Iterator[str]:
        client = self._boto("logs")
        for page in client.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                events = client.get_paginator("filter_log_events").paginate(
                    logGroupName=group["logGroupName"], startTime=self._log_from_ms
                )
                yield from (event["message"] for one in events for event in one["events"])

    def _memory(self) -> dict[str, int]:
        client = self._boto("lambda")
        return {
            short: client.get_function_configuration(FunctionName=name)["MemorySize"]
            for short, name in self.functions.items()
        }

    def _stored(self, order_id: str) -> Json:
        item: Json = self._boto("dynamodb").get_item(
            TableName=self.description["ordersTable"],
            Key={"orderId": {"S": order_id}, "item": {"S": "order"}},
            ConsistentRead=True,
        )["Item"]
        return item

    def _deployed(self) -> list[str]:
        return [one["FunctionName"] for one in self._boto("lambda").list_functions()["Functions"]]

    def _boto(self, service: str) -> Any:
        client: Any = root_session(self.description).client
        return client(service, endpoint_url=self.description["awsEndpoint"])


@contextmanager
def counted_stack(report: Callable[[str], None], orders_at_once: int = 10) -> Iterator[CountedStack]:
    """A stack of its own, with `orders_at_once` of an account; ended with the block."""
    with tempfile.TemporaryDirectory(prefix="fillrate-cost-") as directory:
        layout = Layout(
            Path(directory),
            aws_port=free_port(),
            rpc_port=free_port(following=1),
            orders_per_minute=60_000,
            orders_at_once=orders_at_once,
        )

        def caller(port: int) -> int | None:
            return processes.caller_of(layout.emulator(), port)

        try:
            bench = CountedStack(layout, start(layout, report), report)
            with FaultProxy(layout.aws_url, caller) as aws, FaultProxy(layout.rpc_url, caller) as solana:
                aws.rule, solana.rule = bench.aws.rule, bench.solana.rule
                bench.aws_url, bench.solana_url = aws.url, solana.url
                yield bench
        finally:
            stop(layout)


def _short(name: str) -> str:
    """The logical name in one that CloudFormation made: fillrate-local-ExecuteOrder-1A2B3C is ExecuteOrder."""
    parts = name.split("-")
    return parts[-2] if len(parts) > 2 else name


def _named(counter: Counter[tuple[str, str]]) -> dict[str, int]:
    return {" ".join(key): number for key, number in sorted(counter.items()) if number}


def _json_in(text: str) -> Json | None:
    """A log line of ours; None for Lambda's own."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
