"""What all tests share: their order, reports that can be handed between processes, and when real bytecode is needed."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.real_programs import require_real_programs
from tests.running_order import ByStackOrFile, put_in_order

# No test asserts a duration: a busy machine is not a fault.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


@pytest.hookimpl(tryfirst=True)  # before xdist looks which belong together
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        put_in_order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByStackOrFile | None:
    if config.getoption("dist") != "loadgroup":
        return None
    # by the order that the processes have put them in, and not by how many there are in a group
    config.option.loadscopereorder = False
    return ByStackOrFile(config, log)


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
