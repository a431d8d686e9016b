"""Whose deployment an emulator holds. One machine has many checkouts, and an address is soon mistaken.

The checkout that deploys notes itself beside the limits, in the control table. On AWS, where deploys come from wherever
they are run, nobody is noted: there the credentials say whose stage it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from chalicelib.aws.dynamodb.table import Table
from operations.errors import OperationError
from operations.stacks import describe, outputs
from operations.target import Target

_KEY = {"name": "checkout"}
# How a deployment is named that notes no checkout: one of an earlier version.
UNKNOWN = "unknown"


class AnotherCheckouts(OperationError):
    """What is deployed there is another checkout's; the text says whose, and how to replace it nevertheless."""


def check_owner(target: Target, checkout: Path, replaced: str | None = None) -> None:
    """Raises AnotherCheckouts where another checkout than this has deployed the stage, unless it is named `replaced`.

    Raises botocore's errors.
    """
    if target.endpoint_url is None:
        return
    owner = _owner(target)
    if owner in (None, str(checkout)) or owner == replaced:
        return
    whose = "an earlier version, of some checkout," if owner == UNKNOWN else f"the checkout {owner}"
    raise AnotherCheckouts(
        f"{whose} has deployed stage {target.stage} at {target.endpoint_url}. To replace its functions, wallet and "
        f"pools by this checkout's, give --replace {owner}"
    )


def note_owner(target: Target, data: Mapping[str, str], checkout: Path) -> None:
    """Note this checkout as the one that has deployed the stage. `data` are the data stack's outputs."""
    if target.endpoint_url is not None:
        Table(target.client("dynamodb"), data["ControlTable"]).put({**_KEY, "path": str(checkout)})


def _owner(target: Target) -> str | None:
    """None where nothing is deployed."""
    state = describe(target.client("cloudformation"), target.stack("data"))
    table = outputs(state).get("ControlTable") if state is not None else None
    if table is None:
        return None
    noted = Table(target.client("dynamodb"), table).get(_KEY)
    return UNKNOWN if noted is None else str(noted["path"])
