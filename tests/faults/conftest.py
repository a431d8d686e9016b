"""What the faults tests share: the seed, told with every failure."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.faults.dice import FULL, SEED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections.append(("to replay", f"FAULTS_SEED={SEED} FAULTS_SCALE={'full' if FULL else 'short'}"))
    return report
