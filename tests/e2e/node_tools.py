"""The npm packages of tests/specs, where they are installed (`make npm-tools`)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parent.parent / "specs" / "node_modules"


def node_tool(name: str) -> str:
    """The path of a command of one of the packages. Skips the test where there is none."""
    command = PACKAGES / ".bin" / name
    if shutil.which("node") is None or not command.exists():
        pytest.skip(f"{name} is not installed: make npm-tools")
    return str(command)


def package_file(path: str) -> Path:
    """A file of one of the packages. Skips the test where it is not there."""
    file = PACKAGES / path
    if not file.exists():
        pytest.skip(f"{path} is not installed: make npm-tools")
    return file
