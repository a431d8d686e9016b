"""POST /orders/execute asks for all that it reads at once: three round trips, and what was read serves one request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import itemgetter
from threading import Barrier, Lock

import pytest

from chalicelib import composition
from chalicelib.access.key_administration import KeyAdministration
from chalicelib.http.reads_ahead import ReadAhead
from tests.integration.cloud import Json, calls_to
from tests.integration.web import ORDER, Web, problem

PATIENCE_SECONDS = 60.0


@dataclass
class Rounds:
    """Calls of DynamoDB and SQS by the functions, and those of them that must be under way at one time."""

    together: int = 0
    calls: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)
    _barrier: Barrier | None = None

    def watch(self, *clients: object) -> None:
        for client in clients:
            client.meta.events.register("before-call", self._before)  # type: ignore[attr-defined]

    def expect_together(self, number: int) -> None:
        """The next so many calls: each waits for all of them to have been begun, and fails where that never happens."""
        self.calls.clear()
        self.together, self._barrier = number, Barrier(number)

    def _before(self, model: object, **_: object) -> None:
        with self._lock:
            self.calls.append(model.name)  # type: ignore[attr-defined]
            waits = len(self.calls) <= self.together
        if waits and self._barrier is not None:
            self._barrier.wait(PATIENCE_SECONDS)


@pytest.fixture
def prod(web: Web, environment: Callable[..., None]) -> Web:
    environment(STAGE="prod")
    return web


@pytest.fixture
def rounds() -> Rounds:
    rounds = Rounds()
    rounds.watch(composition.dynamodb(), composition.sqs())
    return rounds


def key_of(web: Web) -> Json:
    return {"x-api-key": web.cloud.new_key("alice").secret}


def test_key_rate_limits_turns_and_idempotency_key_are_asked_for_at_once(prod: Web, rounds: Rounds) -> None:
    key = key_of(prod)
    assert prod("POST", "/orders/execute", ORDER, key).status_code == 202
    rounds.expect_together(4)
    assert prod("POST", "/orders/execute", ORDER, {**key, "idempotency-key": "first"}).status_code == 202
    at_once, afterwards = sorted(rounds.calls[:4]), rounds.calls[4:]
    assert at_once == ["BatchGetItem", "GetItem", "GetItem", "UpdateItem"]
    assert afterwards == ["TransactWriteItems", "SendMessage"]


def test_limits_and_turns_are_one_read_and_the_counters_are_left_to_the_write(web: Web) -> None:
    web.execute()
    rounds, reads = Rounds(), calls_to(composition.dynamodb(), "BatchGetItem")
    rounds.watch(composition.dynamodb(), composition.sqs())
    web.execute()
    assert rounds.calls == ["BatchGetItem", "TransactWriteItems", "SendMessage"]
    (keys,) = (one["Keys"] for one in reads[0]["RequestItems"].values())
    names = {key["name"]["S"] for key in keys}
    assert names == {"limits#account#local", "limits#default", "limits#global", "admission"}


def test_of_a_key_that_was_never_seen_nothing_is_asked_but_whether_it_is_one(prod: Web, rounds: Rounds) -> None:
    prod("POST", "/orders/execute", ORDER, key_of(prod))
    rounds.calls.clear()
    problem(prod("POST", "/orders/execute", ORDER, {"x-api-key": "fillrate_" + "x" * 43}), 401)
    assert set(rounds.calls) <= {"GetItem"}
    assert len(rounds.calls) <= 1


def test_a_key_that_was_revoked_since_is_refused_at_its_next_request(prod: Web) -> None:
    new = prod.cloud.new_key("alice")
    key = {"x-api-key": new.secret}
    assert prod("POST", "/orders/execute", ORDER, key).status_code == 202
    KeyAdministration(prod.cloud.keys(), composition.now_ms, bytes).revoke(new.key.key_id)
    problem(prod("POST", "/orders/execute", ORDER, key), 401)
    assert len(prod.cloud.receive()) == 1


def test_the_same_idempotency_key_gives_the_same_order_again(prod: Web) -> None:
    key = {**key_of(prod), "idempotency-key": "once"}
    first = prod("POST", "/orders/execute", ORDER, key)
    again = prod("POST", "/orders/execute", ORDER, key)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json_body["orderId"] == first.json_body["orderId"]
    assert again.headers["Idempotent-Replayed"] == "true"


def test_what_was_read_for_a_request_that_was_refused_serves_no_other(prod: Web) -> None:
    key = key_of(prod)
    idempotent = {**key, "idempotency-key": "later"}
    assert prod("POST", "/orders/execute", ORDER, key).status_code == 202
    # asks whether the key was used, and ends before that is looked at
    problem(prod("POST", "/orders/execute", b"no json", idempotent), 400)
    order_id = prod("POST", "/orders/execute", ORDER, idempotent).json_body["orderId"]
    problem(prod("POST", "/orders/execute", b"no json", idempotent), 400)
    prod("DELETE", f"/orders/{order_id}", None, key)
    assert prod("GET", f"/orders/{order_id}", None, key).json_body["status"] == "cancelled"


# --- by itself ----------------------------------------------------------------------------------------------------


@pytest.fixture
def ahead() -> Iterator[ReadAhead]:
    with ThreadPoolExecutor(1) as executor:
        yield ReadAhead(executor)


def test_what_was_begun_is_taken_once_and_then_asked_for_anew(ahead: ReadAhead) -> None:
    ahead.begin("turns", lambda: "begun")
    assert [ahead.take("turns", lambda: "anew") for _ in range(2)] == ["begun", "anew"]


def test_an_error_comes_where_it_would_have_come(ahead: ReadAhead) -> None:
    def fails() -> str:
        raise KeyError("no such thing")

    ahead.begin("turns", fails)
    with pytest.raises(KeyError):
        ahead.take("turns", lambda: "anew")


def test_one_call_brings_several_parts_each_of_which_is_taken_once(ahead: ReadAhead) -> None:
    calls: list[str] = []

    def read() -> dict[str, int]:
        calls.append("read")
        return {"limits": 1, "turns": 2}

    ahead.begin_together(read, {name: itemgetter(name) for name in ("limits", "turns")})
    assert [ahead.take(name, lambda: 0) for name in ("turns", "limits", "turns")] == [2, 1, 0]
    assert calls == ["read"]


def test_what_is_forgotten_is_asked_for_anew(ahead: ReadAhead) -> None:
    ahead.begin("turns", lambda: "begun")
    ahead.forget()
    assert ahead.take("turns", lambda: "anew") == "anew"
