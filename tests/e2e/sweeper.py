"""What the schedule does every minute, for tests that don't wait for it."""

from __future__ import annotations

import json
from typing import Any


def sweep(functions: Any) -> None:
    """Run the sweeper once. `functions` is a client of Lambda."""
    names = [one["FunctionName"] for one in functions.list_functions()["Functions"]]
    (name,) = [one for one in names if "-Sweep-" in one]
    event = dict.fromkeys(("version", "account", "region", "detail-type", "source", "time", "id"), "")
    payload = json.dumps({**event, "detail": {}, "resources": []}).encode()
    answer = functions.invoke(FunctionName=name, Payload=payload)
    assert "FunctionError" not in answer, answer["Payload"].read()
