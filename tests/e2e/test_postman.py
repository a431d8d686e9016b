"""The Postman collection runs from top to bottom against a running stack, by newman."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from chalicelib.contract.openapi import document
from tests.e2e.node_tools import node_tool

COLLECTION = Path(__file__).parents[2] / "client" / "postman" / "fillrate.postman_collection.json"


def run(stack: dict[str, str], directory: Path, **variables: str) -> dict[str, object]:
    report = directory / "report.json"
    given = {"restUrl": stack["restUrl"], **variables}
    command = [node_tool("newman"), "run", str(COLLECTION), "--reporters", "json"]
    command += ["--reporter-json-export", str(report), "--delay-request", "20"]
    for name, value in given.items():
        command += ["--env-var", f"{name}={value}"]
    subprocess.run(
        command, check=False, timeout=120, capture_output=True, env={"PATH": os.environ["PATH"], "HOME": str(directory)}
    )
    read: dict[str, dict[str, object]] = json.loads(report.read_text())
    return read["run"]


def test_each_request_of_the_collection_is_answered_as_it_says(stack: dict[str, str], tmp_path: Path) -> None:
    for api_key in ("", stack["apiKey"]):
        outcome = run(stack, tmp_path, apiKey=api_key)
        assert outcome["failures"] == []


def test_the_collection_has_every_route_of_the_api() -> None:
    folders = json.loads(COLLECTION.read_text())["item"]
    requests = [entry["request"] for folder in folders for entry in folder["item"]]
    asked = {(one["method"].lower(), "/" + "/".join(one["url"]["path"])) for one in requests}
    routes = {
        (method, path.replace("{orderId}", "{{orderId}}"))
        for path, item in document(key_optional=True)["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert routes - asked == set()
