"""GET /health: whether a new order would trade now, and if not, why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread

from chalicelib.contract.requests import Json

Answer = tuple[int, Json]
Words = Mapping[str, Json | None]

# How long an answer holds: anybody may ask, and each look asks a node, the tables and the queue.
HOLDS_MS = 1_000
# How long the parts may take: a page that asks every two seconds shows what happened within five.
PATIENCE_SECONDS = 1.5
# Of a process that has yet to open its connections.
FIRST_PATIENCE_SECONDS = 4.0

_SILENT = {
    "solana": "no node: no Solana node answers",
    "pools": "no pools: which pools there are can't be told",
    "orders": "orders: the table of orders does not answer",
    "queue": "queue: the orders queue does not answer",
    "halt": "halt: it can't be told whether orders are halted",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Something that an order needs. `look` returns its own word, or raises; a good one holds for `holds_ms`."""

    look: Callable[[], Json]
    holds_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    at_ms: int
    word: Future[Json]


def reasons(words: Words) -> list[str]:
    """Why a new order would not trade now, the first word naming the kind; none where it would.

    `words` are the parts' own, None of one that doesn't answer.
    """
    return list(_reasons(words))


def _reasons(words: Words) -> Iterator[str]:
    if _of(words, "halt").get("halted"):
        yield "halted: an operator has stopped all orders; each ends HALTED until they are resumed"
    for name, word in words.items():
        if word is None and name in _SILENT:
            yield _SILENT[name]
    if _of(words, "pools").get("registered") == 0:
        yield "no pools: no pool that can be traded is registered"
    overdue_seconds = _of(words, "orders").get("overdueSeconds", 0)
    waiting = _of(words, "queue").get("waiting", 0)
    if overdue_seconds:
        yield f"overdue: an order has waited for a worker for {overdue_seconds} s"
        # SQS tells no message's age: it is that of the order which it is for
        if waiting:
            yield f"queue: {waiting} waiting, the oldest message for {overdue_seconds} s"


def late_looks(words: Words) -> list[str]:
    """Why orders that wait for a price are judged late, in words; none where they aren't. Others trade all the same."""
    word = words.get("looks")
    if word is None:
        return ["looks: when pairs were looked at can't be told"] if "looks" in words else []
    late_seconds = word.get("lateSeconds", 0)
    if not late_seconds:
        return []
    return [f"looks: orders that wait for a price are judged late, of {word['pairs']} pairs one for {late_seconds} s"]


def _of(words: Words, name: str) -> Json:
    return words.get(name) or {}


class HealthApi:
    """Whether the parts that an order needs answer, and with what."""

    def __init__(
        self,
        parts: Mapping[str, Part],
        stage: str,
        now_ms: Callable[[], int],
        patience_seconds: float = PATIENCE_SECONDS,
        first_patience_seconds: float = FIRST_PATIENCE_SECONDS,
    ) -> None:
        self._parts = parts
        self._stage = stage
        self._now_ms = now_ms
        self._patience_seconds = patience_seconds
        self._first_patience_seconds = first_patience_seconds
        self._looks: dict[str, _Asked] = {}
        self._told: tuple[int, Answer] | None = None

    def check(self) -> Answer:
        """GET /health: 200 where a new order would trade, 503 where it would not; `degraded` says why.

        Looks that are late are among the reasons, and keep no new order from trading.

        A process looks once in HOLDS_MS, at all parts at the same time, and answers with what it found until then.
        """
        if self._told is None or self._now_ms() - self._told[0] >= HOLDS_MS:
            answer = self._answer()
            self._told = self._now_ms(), answer
        return self._told[1]

    def _answer(self) -> Answer:
        looks = {name: self._look(name, part) for name, part in self._parts.items()}
        wait(looks.values(), self._first_patience_seconds if self._told is None else self._patience_seconds)
        outcomes = {name: _outcome(word) for name, word in looks.items()}
        words = {name: outcome.get("value") for name, outcome in outcomes.items()}
        would_not_trade = reasons(words)
        status = "unavailable" if would_not_trade else "ok"
        degraded = would_not_trade + late_looks(words)
        body = {"status": status, "stage": self._stage, "degraded": degraded, "checks": outcomes}
        return (503 if would_not_trade else 200), body

    def _look(self, name: str, part: Part) -> Future[Json]:
        """The part's word: of the present look where that has yet to end, or still holds; else of a new one."""
        last = self._looks.get(name)
        if last is not None:
            if not last.word.done():
                return last.word
            if last.word.exception() is None and 0 <= self._now_ms() - last.at_ms < part.holds_ms:
                return last.word
        word: Future[Json] = Future()
        self._looks[name] = _Asked(self._now_ms(), word)
        # a daemon: a part that hangs holds up neither the answer nor the end of the process
        Thread(target=copy_context().run, args=(_find_out, part.look, word), daemon=True).start()
        return word


def _find_out(look: Callable[[], Json], word: Future[Json]) -> None:
    try:
        word.set_result(look())
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a part is what this tells
        word.set_exception(error)


def _outcome(word: Future[Json]) -> Json:
    if not word.done():
        return {"ok": False, "error": "NoAnswer"}
    error = word.exception()
    return {"ok": True, "value": word.result()} if error is None else {"ok": False, "error": type(error).__name__}
