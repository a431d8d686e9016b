"""A whole stack of their own for the end-to-end tests: a localnet and an emulator on free ports."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.local_stack.stack import Layout, stop
from testing.chain import Chain
from testing.client import Client, eventually
from testing.ports import free_port
from testing.stacks import start

# Faster than the real 200 ms, so that confirmations take no time worth mentioning.
SLOT_MS = 100
# The tests send more than a desk's 100 orders a minute.
ORDERS_PER_MINUTE = 10_000


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The description of a running stack, as in .local/stack.json, with `directory` besides (wallet.json, logs).

    Nobody else trades there: a way of two hops is quoted anew where its first pool moved, as it does now and then.
    """
    with _running(tmp_path_factory.mktemp("stack"), "--no-traders") as description:
        yield description


@pytest.fixture(scope="session")
def secured_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Another, of the stage `prod`: keys, a wallet in KMS, an emulator that enforces signatures and roles as AWS does.

    The wallet has bought what the tests trade.
    """
    directory = tmp_path_factory.mktemp("secured")
    with _running(directory, stage="prod", wallet_option="kms", enforce_iam=True) as description:
        client, chain = Client(description["restUrl"], description["apiKey"]), Chain(description["rpcUrl"])
        wallet = description["wallet"]
        chain.call("requestAirdrop", wallet, 1_000 * 10**9)
        eventually(lambda: bool(chain.call("getBalance", wallet, {"commitment": "confirmed"})["value"]))
        for amount, token in (("60", "USDC"), ("2", "JUP")):
            order = client.ended(client.execute("SOL", token, amount)["orderId"])
            assert order["status"] == "confirmed", order
        yield description


@pytest.fixture(scope="module")
def paced_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Another, at whose default pace a hundred orders start in a minute."""
    with _running(tmp_path_factory.mktemp("paced"), orders_per_minute=100) as description:
        yield description


@contextmanager
def _running(directory: Path, *localnet: str, **options: Any) -> Iterator[dict[str, str]]:
    given = {"orders_per_minute": ORDERS_PER_MINUTE, **options}
    layout = Layout(
        directory,
        aws_port=free_port(),
        rpc_port=free_port(following=1),
        localnet_arguments=("--slot-ms", str(SLOT_MS), *localnet),
        **given,
    )
    try:
        yield start(layout, print) | {"directory": str(directory)}
    finally:
        stop(layout)
