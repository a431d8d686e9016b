"""A field of an order's progress is written in one place: added there, it is everywhere.

In a copy of the sources one line is added to `Progress`, the generators run, and everything is looked at.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
WEB = PROJECT / "web"
LAST_FIELD = "    error_code: str | None = None\n\n"
ADDED = "    venue_rebate: AmountOut | None = None\n\n"
LOOK = """
import json
from dataclasses import replace

from chalicelib.aws.dynamodb.attribute_values import deserialize, serialize
from chalicelib.aws.dynamodb.order_item import item_to_order, order_to_item
from chalicelib.contract.views import order_json, status_message
from fillrate.models import Order, StatusEvent
from quality.code_generation.documents import schemas
from tests.sample_orders import confirmed

order = confirmed()
*before, last = order.history
order = replace(order, venue_rebate=1_500_000, history=(*before, replace(last, venue_rebate=1_500_000)))
item, shown = serialize(order_to_item(order, pack=False)), order_json(order)
read = Order.model_validate(shown)
print(json.dumps({
    "stored": item["venueRebate"],
    "stored step": item["history"]["L"][-1]["M"]["detail"]["M"]["venue_rebate"],
    "read again": [item_to_order(deserialize(one)) == order for one in (item, serialize(order_to_item(order)))],
    "shown": shown["venueRebate"],
    "shown step": shown["history"][-1]["venueRebate"],
    "pushed": status_message(order.history[-1], order)["venueRebate"],
    "documented": [name for name, one in schemas().items() if "venueRebate" in one.get("properties", {})],
    "client": [str(read.venue_rebate), str(read.history[-1].venue_rebate)],
    "client's type": str(StatusEvent.model_fields["venue_rebate"].annotation),
}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources with one more line, and what is generated from them."""
    root = tmp_path_factory.mktemp("copy")
    for part in ("chalicelib", "quality/code_generation", "client/fillrate"):
        shutil.copytree(PROJECT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "web"))
    (root / "tests").mkdir()
    shutil.copy(PROJECT / "tests" / "sample_orders.py", root / "tests")
    orders = root / "chalicelib" / "orders" / "order.py"
    source = orders.read_text()
    assert source.count(LAST_FIELD) == 1, "the last field of Progress is no longer this one"
    orders.write_text(source.replace(LAST_FIELD, LAST_FIELD[:-1] + ADDED))
    python(root, "-m", "quality.code_generation", "client")
    python(root, "-m", "quality.code_generation", "schemas", "schemas.json")
    return root


def python(root: Path, *arguments: str) -> str:
    return run(root, sys.executable, "-B", *arguments, PYTHONPATH=f"{root}:{root / 'client'}")


def run(folder: Path, *command: str, **environment: str) -> str:
    result = subprocess.run(command, cwd=folder, env=environment or None, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_field_added_to_progress_is_stored_shown_pushed_documented_and_known_to_the_client(copy: Path) -> None:
    found: dict[str, Any] = json.loads(python(copy, "-c", LOOK))
    assert found == {
        "stored": {"N": "1500000"},
        "stored step": {"N": "1500000"},
        "read again": [True, True],
        "shown": "1.5",
        "shown step": "1.5",
        "pushed": "1.5",
        "documented": ["HistoryStep", "ListedOrder", "ShownOrder", "StatusMessage"],
        "client": ["1.5", "1.5"],
        "client's type": found["client's type"],
    }
    assert "Decimal" in found["client's type"]


@pytest.mark.skipif(
    shutil.which("node") is None or not (WEB / "node_modules" / "openapi-typescript").is_dir(),
    reason="the page's tools aren't installed: make npm-tools",
)
def test_and_the_page_knows_its_type(copy: Path) -> None:
    written = copy / "schemas.ts"
    run(WEB, "node", "types.mjs", "--schemas", str(copy / "schemas.json"), "--out", str(written))
    assert written.read_text().count("venueRebate?: string;") == 4
    assert "venueRebate" not in (WEB / "src" / "schemas.ts").read_text()
