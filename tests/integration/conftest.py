"""What the tests on moto share: an AWS account in memory, and its WebSocket API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.cloud import REGION, Cloud, OrdersStream, WebSocketApi, cloud_in_memory


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
