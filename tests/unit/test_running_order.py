"""What `make test` puts first is there, and what shares a stack runs in one process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.project import PROJECT
from tests.running_order import STACKS, START_PROCESSES, TAKE_LONG

SESSIONS = re.compile(r'@pytest.fixture\(scope="session"\)\ndef (\w+)\((.*?)(?=\n@|\n\n\n|\Z)', re.DOTALL)
STARTS_A_STACK = re.compile(r"\b(start|_running|running_engine)\(")
CONFTEST = """
import os
from pathlib import Path
import pytest
from tests.conftest import pytest_collection_modifyitems, pytest_xdist_make_scheduler

@pytest.fixture(scope="session")
def stack():
    Path("started").joinpath(os.environ["PYTEST_XDIST_WORKER"]).touch()
"""
USES_THE_STACK = """
import time, pytest

@pytest.mark.parametrize("number", range(5))
def test_one(stack, number):
    time.sleep(0.05)
"""


@pytest.mark.parametrize("path", [*TAKE_LONG, *(f"tests/{folder}" for folder in START_PROCESSES)])
def test_what_takes_long_is_there(path: str) -> None:
    assert (PROJECT / path).exists()


def test_every_running_stack_that_a_session_shares_is_known_and_no_other() -> None:
    """Else each of the processes would start it."""
    texts = [file.read_text() for file in (PROJECT / "tests").glob("*/conftest.py")]
    fixtures = [found for text in texts for found in SESSIONS.findall(text)]
    assert {name for name, body in fixtures if STARTS_A_STACK.search(body)} == set(STACKS)


def test_a_stack_is_started_by_one_process_alone(tmp_path: Path) -> None:
    (tmp_path / "started").mkdir()
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "e2e").mkdir()
    for number in range(4):
        (tmp_path / "e2e" / f"test_{number}.py").write_text(USES_THE_STACK)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist.plugin", "-n", "2", "--dist", "loadgroup"]
    # no other plugins: each of the processes would load them
    environment = {"PYTHONPATH": str(PROJECT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "HOME": str(tmp_path)}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "20 passed" in ran.stdout
    assert len(list((tmp_path / "started").iterdir())) == 1
