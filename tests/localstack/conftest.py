"""A stage on LocalStack's core, for `make localstack`. It takes minutes: without that it is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from infra.localstack.lane import PYTHON, Lane, Ports, running
from operations import keys
from operations.target import target_of
from testing.client import Client, Json
from testing.ports import free_port

WANTED = "FILLRATE_LOCALSTACK"


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    if WANTED not in os.environ:
        pytest.skip("takes minutes, and Python 3.12 or 3.13: make localstack, before each release")
    if not PYTHON.exists():
        pytest.fail("infra/localstack/create_venv.sh makes .venv-localstack first", pytrace=False)
    ports = Ports(free_port(), free_port(), free_port(following=1))
    with running(tmp_path_factory.mktemp("localstack"), ports) as lane:
        yield lane


@pytest.fixture(scope="session")
def deployed(lane: Lane) -> Json:
    """What infra.deploy printed."""
    return lane.deploy("--orders-per-minute", "10000")


@pytest.fixture(scope="session")
def api_key(lane: Lane, deployed: Json) -> str:
    target = target_of(None, "localstack", lane.endpoint)
    return (
        keys.administration(target).create("desk", keys.scopes("read,trade"), rate_per_minute=10_000, label="").secret
    )


@pytest.fixture
def client(deployed: Json, api_key: str) -> Client:
    return Client(deployed["restUrl"], api_key)
