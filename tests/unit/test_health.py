"""GET /health: one look at all parts, each within its time, and in words why a new order would not trade."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest

from chalicelib.http.health import HOLDS_MS, HealthApi, Part, reasons
from chalicelib.http.health import Answer as HealthAnswer

WELL: dict[str, dict[str, Any] | None] = {
    "solana": {"slot": 1},
    "pools": {"registered": 2},
    "orders": {"readable": True, "overdueSeconds": 0},
    "queue": {"waiting": 3},
    "halt": {"halted": False},
}


class Clock:
    now_ms = 1_760_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hangs() -> Iterator[Event]:
    """What a part that hangs waits for; it goes on when the test is over."""
    released = Event()
    yield released
    released.set()


def kinds(answer: HealthAnswer) -> list[str]:
    return [reason.split(":")[0] for reason in answer[1]["degraded"]]


def well(name: str) -> Callable[[], dict[str, Any]]:
    return lambda: dict(WELL[name] or {})


def test_where_all_is_well_nothing_is_degraded_however_many_orders_wait() -> None:
    assert reasons(WELL) == []


@pytest.mark.parametrize(
    ("part", "word", "kinds_told"),
    [
        ("halt", {"halted": True}, ["halted"]),
        ("pools", {"registered": 0}, ["no pools"]),
        ("orders", {"overdueSeconds": 31}, ["overdue", "queue"]),
        ("solana", None, ["no node"]),
        ("pools", None, ["no pools"]),
        ("orders", None, ["orders"]),
        ("queue", None, ["queue"]),
        ("halt", None, ["halt"]),
    ],
)
def test_whatever_keeps_a_new_order_from_trading_is_a_reason(
    part: str, word: dict[str, Any] | None, kinds_told: list[str]
) -> None:
    told = reasons({**WELL, part: word})
    assert [reason.split(":")[0] for reason in told] == kinds_told


def test_the_oldest_message_is_told_of_only_where_messages_wait() -> None:
    late = {**WELL, "orders": {"overdueSeconds": 47}}
    assert reasons(late)[1] == "queue: 3 waiting, the oldest message for 47 s"
    assert len(reasons({**late, "queue": {"waiting": 0}})) == 1


def test_a_part_that_hangs_costs_the_others_nothing_and_is_not_asked_again_meanwhile(
    clock: Clock, hangs: Event
) -> None:
    asked: list[int] = []

    def node() -> dict[str, object]:
        asked.append(1)
        hangs.wait()
        return {"slot": 7}

    parts = {**{name: Part(well(name)) for name in WELL}, "solana": Part(node)}
    health = HealthApi(parts, "local", clock, patience_seconds=0.05, first_patience_seconds=0.05)
    for _ in range(3):
        status, body = health.check()
        assert (status, body["status"], kinds((status, body))) == (503, "unavailable", ["no node"])
        assert body["checks"]["solana"] == {"ok": False, "error": "NoAnswer"}
        assert body["checks"]["queue"] == {"ok": True, "value": {"waiting": 3}}
        clock.now_ms += HOLDS_MS
    assert len(asked) == 1


def test_a_part_that_fails_is_told_of_by_the_kind_of_its_failure_alone(clock: Clock) -> None:
    def node() -> dict[str, object]:
        raise ConnectionError("http://node.example/a-secret-key")

    health = HealthApi({**{name: Part(well(name)) for name in WELL}, "solana": Part(node)}, "local", clock)
    status, body = health.check()
    assert (status, body["checks"]["solana"]) == (503, {"ok": False, "error": "ConnectionError"})
    assert "secret" not in str(body)


def test_a_good_word_holds_for_as_long_as_its_part_says_and_a_bad_one_does_not(clock: Clock) -> None:
    slots = iter([{"slot": 1}, None, {"slot": 3}])

    def node() -> dict[str, object]:
        word = next(slots)
        if word is None:
            raise ConnectionError
        return dict(word)

    parts = {**{name: Part(well(name)) for name in WELL}, "solana": Part(node, holds_ms=3 * HOLDS_MS)}
    health = HealthApi(parts, "local", clock)
    statuses = []
    for _ in range(5):
        statuses.append(health.check()[0])
        clock.now_ms += HOLDS_MS
    assert statuses == [200, 200, 200, 503, 200]
