"""What all tests share: reports that can be handed from one process to another, and when real bytecode is needed."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.real_programs import require_real_programs

# No test asserts a duration: a busy machine is not a fault.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture, of which some load the bytecode."""
    if item.get_closest_marker("real_programs"):
        require_real_programs()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tests log every character there is, half ones too; xdist hands reports over in UTF-8, which has no half ones."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
