"""What the faults tests share: the seed, told with every failure."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.faults.dice import CHAIN, FULL, SEED
from tests.faults.engine import Engine, running_engine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections.append(
            ("to replay", f"FAULTS_SEED={SEED} FAULTS_CHAIN={CHAIN} FAULTS_SCALE={'full' if FULL else 'short'}")
        )
    return report


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running_engine(tmp_path_factory.mktemp("faults"), print) as engine:
        yield engine


@pytest.fixture
def engine(running: Engine) -> Iterator[Engine]:
    """The running engine, without faults and without open orders before and after each test."""
    yield running
    running.solana.let_all_go()
    running.aws.let_all_go()
    running.set_faults()
    running.wait_until_ended()
