"""The domain and the localnet load no framework: what computes must not need AWS to be there, or to be paid for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FRAMEWORKS = ("boto3", "botocore", "chalice", "aws_lambda_powertools")
# In an interpreter of its own, without the environment's paths: this one has loaded everything long ago.
PROGRAM = """
import sys
from importlib import import_module
from pkgutil import walk_packages

sys.path.insert(0, {project!r})
package = import_module({package!r})
names = [module.name for module in walk_packages(package.__path__, {package!r} + ".")]
for name in names:
    import_module(name)
print(len(names), *sorted({frameworks!r} & {{name.partition(".")[0] for name in sys.modules}}))
"""


def loaded_with(package: str) -> tuple[int, list[str]]:
    """How many modules the package has, and which frameworks are there once all of them are imported."""
    program = PROGRAM.format(project=str(PROJECT), package=package, frameworks=set(FRAMEWORKS))
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, *frameworks = done.stdout.split()
    return int(count), frameworks


@pytest.mark.parametrize(
    "package",
    [
        *(f"chalicelib.{room}" for room in ("discovery", "orders", "routing", "venues", "risk", "solana")),
        "infra.localnet",
    ],
)
def test_every_module_is_imported_without_a_framework(package: str) -> None:
    modules, frameworks = loaded_with(package)
    assert modules > 2
    assert frameworks == []


def test_what_needs_a_framework_is_noticed() -> None:
    """The adapters do; so the look would find it."""
    assert set(loaded_with("chalicelib.aws")[1]) == {"boto3", "botocore", "aws_lambda_powertools"}
