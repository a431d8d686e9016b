"""A scripted service for each test that asks for one."""

from collections.abc import Iterator

import pytest

from tests.client.scripted_service import ScriptedService


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    running = ScriptedService()
    yield running
    running.close()
