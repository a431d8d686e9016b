"""A class name stands for one thing in all of the product."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SERVICE = ("app.py", "chalicelib", "operations", "infra")
CLIENT = ("client/fillrate",)
# The same thing, as the service has it and as its client sees it. Reviewed: a name gets here only if it means no other.
SAME_THING = {
    # errors, by the code that the service sends
    "Conflict",
    "FillrateError",
    "Forbidden",
    "InvalidRequest",
    "NotFound",
    "Problem",
    "SubmissionUnknown",
    "Unauthorized",
    # answers
    "Health",
    "Leftover",
    "Leg",
    "Order",
    "OrderPage",
    "PoolOffer",
    "Quote",
    "Status",
    "Ticket",
    "Token",
    "Trigger",
    "TriggerKind",
}


def defined_in(rooms: Iterable[str]) -> Mapping[str, list[str]]:
    """Where each class is defined."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for room in rooms:
        path = PROJECT / room
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(f"{file.relative_to(PROJECT)}:{node.lineno}")
    return places


def twice(places: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_class_name_stands_for_two_things_in_the_service() -> None:
    assert twice(defined_in(SERVICE)) == {}


def test_no_class_name_stands_for_two_things_in_the_client() -> None:
    assert twice(defined_in(CLIENT)) == {}


def test_a_name_that_service_and_client_share_is_one_thing() -> None:
    service, client = defined_in(SERVICE), defined_in(CLIENT)
    shared = {name: service[name] + client[name] for name in service.keys() & client.keys() - SAME_THING}
    assert shared == {}
