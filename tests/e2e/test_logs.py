"""No log of a whole run holds a secret or a signed transaction, and nobody who is logged about can forge a line.

Everything logs at DEBUG here; the node's address has a key in it, as providers' addresses do.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from infra.local_stack.stack import Layout, stop
from infra.localnet import base58
from testing.chain import Chain
from testing.client import Client, Json, eventually, follow
from testing.emulator import root_session
from testing.ports import free_port
from testing.stacks import start
from tests.e2e.conftest import ORDERS_PER_MINUTE, SLOT_MS

PROVIDER_KEY = "provider-s3cr3t-9f8e7d6c5b4a"
WRONG_KEY = "fillrate_a-key-that-nobody-was-ever-given-0123456789"
WRONG_TICKET = "a-ticket-that-nobody-was-ever-given.0123456789abcdef"
FORGED = '\r\n{"level":"INFO","message":"forged"}\x1b[31m\x9b\u2028'
MARK = "forged"


class KeyedNode(Layout):
    """A stack whose node is asked by an address that has a key in its path and in its query."""

    __slots__ = ()

    @property
    def rpc_url(self) -> str:
        return f"http://127.0.0.1:{self.rpc_port}/v1/{PROVIDER_KEY}/?api-key={PROVIDER_KEY}"


@dataclass
class Run:
    """A stack's run: what must not be found, and the logs where it is looked for."""

    stack: dict[str, str]
    secrets: dict[str, bytes]

    def keep(self, name: str, secret: str | bytes) -> None:
        self.secrets[name] = secret if isinstance(secret, bytes) else secret.encode()

    def aws(self, service: Any) -> Any:
        client: Any = root_session(self.stack).client
        return client(service, endpoint_url=self.stack["awsEndpoint"])

    def logs(self) -> dict[str, str]:
        """Every log by its name: the processes' files, and what the functions wrote."""
        files = (Path(self.stack["directory"]) / "logs").glob("*.log")
        found = {path.name: path.read_text(errors="surrogateescape") for path in files}
        client = self.aws("logs")
        groups = [group["logGroupName"] for group in client.describe_log_groups()["logGroups"]]
        for group in groups:
            streams = client.describe_log_streams(logGroupName=group)["logStreams"]
            events = [
                event["message"]
                for stream in streams
                for event in client.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, limit=10_000
                )["events"]
            ]
            found[group] = "\n".join(events)
        return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("logged")
    layout = KeyedNode(
        directory,
        aws_port=free_port(),
        rpc_port=free_port(following=1),
        localnet_arguments=("--slot-ms", str(SLOT_MS)),
        orders_per_minute=ORDERS_PER_MINUTE,
        log_level="DEBUG",
    )
    try:
        stack = start(layout, print) | {"directory": str(directory)}
        run = Run(stack, {})
        keypair = bytes(json.loads(layout.wallet.read_text()))
        run.keep("the wallet's key pair", keypair)
        run.keep("the wallet's seed", keypair[:32])
        run.keep("the node's key", PROVIDER_KEY)
        run.keep("the API key", stack["apiKey"])
        run.keep("the emulator's secret", stack["awsSecretAccessKey"])
        _trade(run)
        yield run
    finally:
        stop(layout)


def _trade(run: Run) -> None:
    """Orders that fill, fail, are retried and refused; watchers with good tickets and bad; requests of an attacker."""
    stack = run.stack
    client, chain = Client(stack["restUrl"]), Chain(stack["rpcUrl"])
    key = {"x-api-key": stack["apiKey"], "Idempotency-Key": "once"}
    order = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "0.5"}
    accepted = [client.execute("SOL", "USDC", "0.1"), client.call("POST", "/orders/execute", order, key).body]
    for number, one in enumerate(accepted):
        run.keep(f"ticket {number}", parse_qs(urlsplit(one["wsUrl"]).query)["ticket"][0])
    follow(accepted[0]["wsUrl"])
    for one in accepted:
        confirmed = client.ended(one["orderId"])
        assert confirmed["status"] == "confirmed"
        config = {"commitment": "confirmed", "maxSupportedTransactionVersion": 1, "encoding": "base64"}
        wire = base64.b64decode(chain.call("getTransaction", confirmed["txHash"], config)["transaction"][0])
        run.keep(f"the signed transaction {confirmed['txHash']}", wire)
        # the signature alone is public; what follows it is what only the signed bytes have
        aligned = 66  # past the signature, and where a group of base64's begins
        run.keep(f"a part of the transaction {confirmed['txHash']}", wire[aligned : aligned + 48])
    assert client.ended(client.execute("SOL", "USDC", "90000")["orderId"])["status"] == "failed"
    with _faults(chain, rpcErrorRate=0.5, seed=7):
        client.ended(_accepted(client, {**order, "amount": "0.2"}))
    run.keep("a wrong API key", WRONG_KEY)
    assert client.call("GET", "/orders", headers={"x-api-key": WRONG_KEY}).status == 401
    run.keep("a wrong ticket", WRONG_TICKET)
    with pytest.raises(InvalidStatus), connect(f"{stack['wsUrl']}?ticket={WRONG_TICKET}"):
        pass
    _attack(run, client)


def _attack(run: Run, client: Client) -> None:
    """Everything that a client can put into a request, with a log line of its own in it."""
    stack = run.stack
    order = {"type": "market", "tokenIn": FORGED, "tokenOut": FORGED, "amount": FORGED}
    bodies: list[Json] = [{"type": FORGED}, {FORGED: 1}, order]
    for body in bodies:
        assert client.call("POST", "/orders/execute", body).status == 400
    assert client.call("GET", f"/orders/{quote(FORGED)}").status == 404
    assert client.call("GET", f"/orders?status={quote(FORGED)}&{quote(FORGED)}=1").status == 400
    assert client.call("GET", f"/quotes?tokenIn={quote(FORGED)}&tokenOut=USDC&amount=1").status == 400
    url = client.call("POST", "/ws-tickets", {}).body["wsUrl"]
    with connect(url) as websocket:
        for message in (FORGED, json.dumps({"action": FORGED}), json.dumps({"action": "subscribe", "orderId": FORGED})):
            websocket.send(message)
            assert json.loads(websocket.recv(timeout=60))["type"] == "error"
    sqs = run.aws("sqs")
    for text in (FORGED, json.dumps({"orderId": FORGED})):
        sent = "".join(letter for letter in text if letter == "\n" or letter.isprintable())
        sqs.send_message(QueueUrl=stack["queueUrl"], MessageBody=sent)
    waiting = {"QueueUrl": stack["dlqUrl"], "AttributeNames": ["ApproximateNumberOfMessages"]}
    eventually(lambda: int(sqs.get_queue_attributes(**waiting)["Attributes"]["ApproximateNumberOfMessages"]) >= 2)


@contextmanager
def _faults(chain: Chain, **faults: float) -> Iterator[None]:
    chain.call("localnet_setFaults", faults)
    try:
        yield
    finally:
        chain.call("localnet_setFaults", {})


def _accepted(client: Client, order: Json) -> str:
    """The order's id; posted until the node, half of whose answers are errors, lets the tokens be looked up."""
    accepted: list[str] = []

    def post() -> bool:
        reply = client.call("POST", "/orders/execute", order)
        accepted.extend([reply.body["orderId"]] if reply.status == 202 else [])
        return bool(accepted)

    eventually(post)
    return accepted[0]


def encodings(secret: bytes) -> Iterator[str]:
    """How a secret may look in a text."""
    yield base64.b64encode(secret).decode().rstrip("=")
    yield base64.urlsafe_b64encode(secret).decode().rstrip("=")
    yield secret.hex()
    yield secret.hex().upper()
    yield base58.encode(secret)
    yield json.dumps(list(secret))[1:-1]
    yield json.dumps(list(secret), separators=(",", ":"))[1:-1]
    yield repr(secret)[2:-1]
    if secret.isascii() and secret.decode().isprintable():
        yield secret.decode()
        yield quote(secret.decode(), safe="")


def test_the_run_was_logged_at_debug_and_whole(run: Run) -> None:
    """Else that nothing is found would mean nothing."""
    logs = run.logs()
    for part in ("api_handler", "execute_order", "push_changes"):
        (text,) = (text for name, text in logs.items() if name.endswith(f"/{part}"))
        assert '"message":"invoked"' in text, part
    worker = next(text for name, text in logs.items() if name.endswith("/execute_order"))
    assert '"order finished"' in worker
    assert '"message without an order"' in worker
    assert "INSUFFICIENT_BALANCE" in worker
    environment = _function_environment(run)
    assert environment["LOG_LEVEL"] == "DEBUG"
    assert PROVIDER_KEY in environment["SOLANA_RPC_URL"]


def _function_environment(run: Run) -> dict[str, str]:
    configuration = run.aws("lambda").get_function_configuration(FunctionName=run.stack["workerFunction"])
    return dict(configuration["Environment"]["Variables"])


def test_no_log_holds_a_secret_or_a_signed_transaction_in_any_writing(run: Run) -> None:
    found = [
        f"{secret} in {log}"
        for log, text in run.logs().items()
        for secret, value in run.secrets.items()
        for written in encodings(value)
        if written in text
    ]
    assert found == []
    assert len(run.secrets) >= 12


def test_every_line_of_the_functions_is_the_platforms_or_one_json_object_of_printable_ascii(run: Run) -> None:
    for log, text in run.logs().items():
        if log.startswith("/fillrate/"):
            for line in text.split("\n"):
                assert line.isascii(), (log, line)
                assert line.replace("\t", " ").isprintable(), (log, line)
                if not line.startswith(("START ", "END ", "REPORT ")) and line:
                    assert json.loads(line).get("message") != MARK, (log, line)
