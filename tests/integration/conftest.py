"""What the tests on moto share: an AWS account in memory, its WebSocket API, and the HTTP API on a localnet."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from chalicelib import composition
from chalicelib.settings import settings as product_settings
from chalicelib.solana.wallet import LocalWallet
from testing.localnet import Localnet
from tests.integration.cloud import (
    REGION,
    WEBSOCKET_ENDPOINT,
    Cloud,
    OrdersStream,
    WebSocketApi,
    aws,
    cloud_in_memory,
)
from tests.integration.web import Pushes, Web, without_authorizer


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A fresh account; nothing of this machine's AWS settings reaches it, nor it anything outside."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, REGION)
    with cloud_in_memory() as memory:
        yield memory


@pytest.fixture
def stream(cloud: Cloud) -> OrdersStream:
    return OrdersStream(cloud)


@pytest.fixture
def websocket_api(cloud: Cloud) -> WebSocketApi:
    return WebSocketApi()


@pytest.fixture(scope="session")
def wallet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wallet") / "wallet.json"
    LocalWallet.create(path)
    return path


@pytest.fixture(scope="session")
def pools_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pools") / "pools.json"


@pytest.fixture(scope="session")
def localnet(wallet_file: Path, pools_file: Path) -> Iterator[Localnet]:
    arguments = ("--slot-ms", "50", "--no-traders", "--fund", str(wallet_file), "--pool-registry-out", str(pools_file))
    with Localnet(*arguments) as chain:
        yield chain


@pytest.fixture
def environment(
    cloud: Cloud, localnet: Localnet, wallet_file: Path, pools_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """Sets the functions' environment, and lets the product's parts be made anew with it."""

    # whose service descriptions are read already
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", aws())

    def set_up(**changes: str) -> None:
        for name, value in {
            **{_variable(output): value for output, value in cloud.outputs.items()},
            "STAGE": "local",
            "SOLANA_RPC_URL": localnet.url,
            "WEBSOCKET_URL": "ws://gateway.example/api",
            "WEBSOCKET_ENDPOINT": WEBSOCKET_ENDPOINT,
            "WALLET": "kms:key" if changes.get("STAGE") == "prod" else f"file:{wallet_file}",
            **changes,
        }.items():
            monkeypatch.setenv(name, value)
        forget()

    def forget() -> None:
        for part in (product_settings, *vars(composition).values()):
            if hasattr(part, "cache_clear"):
                part.cache_clear()

    cloud.put_all(
        cloud.outputs["PoolsTable"],
        [{name: {"S": entry[name]} for name in ("address", "program")} for entry in json.loads(pools_file.read_text())],
    )
    set_up()
    yield set_up
    forget()


def _variable(output: str) -> str:
    """The environment variable of an output of infra/deployment/data.yaml: OrdersQueueUrl is ORDERS_QUEUE_URL."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", output).upper()


@pytest.fixture
def web(environment: Callable[..., None], cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Web:
    without_authorizer(monkeypatch)
    return Web(cloud)


@pytest.fixture
def pushes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Pushes:
    return Pushes(monkeypatch)
