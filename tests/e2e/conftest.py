"""A whole stack of their own for the end-to-end tests: a localnet and an emulator on free ports."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.processes import free_port
from infra.stack import Layout, start, stop

# Faster than the real 400 ms, so that confirmations take no time worth mentioning.
SLOT_MS = 100
# The tests send more than a desk's 100 orders a minute.
ORDERS_PER_MINUTE = 10_000


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The description of a running stack, as in .local/stack.json, with `directory` besides (wallet.json, logs)."""
    yield from _running(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="session")
def secured_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Another, whose emulator verifies every signature and enforces every role's policies, as AWS does."""
    yield from _running(tmp_path_factory.mktemp("secured"), enforce_iam=True)


def _running(directory: Path, *, enforce_iam: bool = False) -> Iterator[dict[str, str]]:
    layout = Layout(
        directory,
        aws_port=free_port(),
        rpc_port=free_port(following=1),
        localnet_arguments=("--slot-ms", str(SLOT_MS)),
        orders_per_minute=ORDERS_PER_MINUTE,
        enforce_iam=enforce_iam,
    )
    try:
        yield start(layout, print) | {"directory": str(directory)}
    finally:
        stop(layout)
