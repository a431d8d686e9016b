"""Running stacks of the present code for tests: it is packaged once for all that one process starts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.deployment import package
from infra.local_stack import stack
from infra.local_stack.stack import Layout
from operations.target import Stage

# Removed as the process ends.
_packages = cache(lambda: TemporaryDirectory(prefix="fillrate-packages-"))


def start(layout: Layout, report: Callable[[str], None]) -> dict[str, str]:
    """The stack's description once it runs. Raises what infra.local_stack.stack.start does."""
    return stack.start(layout, report, _packaged(layout.stage))


@cache
def _packaged(stage: Stage) -> package.Package:
    return package.build(stage, Path(_packages().name) / stage, package.local_dependencies())
