from __future__ import annotations

from collections.abc import Iterator

import pytest

from testing.localnet import Localnet
from tests.localnet.playground import Playground


@pytest.fixture
def playground() -> Playground:
    return Playground()


@pytest.fixture(scope="module")
def localnet() -> Iterator[Localnet]:
    """A served genesis market with short slots and no other traders."""
    with Localnet("--slot-ms", "20", "--no-traders") as chain:
        yield chain
