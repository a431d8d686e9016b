"""An order's life as it happens: a line for each step, and on a terminal what it is at right now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from fillrate.cli.display import amount, local_time, percent, printable, seconds, shortened
from fillrate.cli.output import Output
from fillrate.cli.plain_words import words_for
from fillrate.models import Leg, Status, Step

ATTEMPTS = 3
_MARKS = {
    Status.CONFIRMED: ("✓", "bold green"),
    Status.FAILED: ("✗", "bold red"),
    Status.CANCELLED: ("–", "yellow"),
    Status.EXPIRED: ("–", "yellow"),
}
# What happens after a step, until the next.
_NEXT = {
    Status.OPEN: "waiting for its price",
    Status.PENDING: "waiting for a worker",
    Status.ROUTING: "reading the pools, looking for the best route",
    Status.BUILDING: "building, simulating and signing the transaction",
    Status.SUBMITTED: "waiting for the chain to confirm",
    Status.FAILED: "waiting for the next attempt",
}


class Timeline:
    """`token_in`, `token_out`: what the amounts are of, where that is known."""

    def __init__(self, output: Output, token_in: str = "", token_out: str = "") -> None:
        self._output = output
        self._in, self._out = token_in, token_out
        self._first: datetime | None = None
        self._last: Step | None = None
        self._live: Live | None = None
        self._seen_at = 0.0

    @contextmanager
    def running(self) -> Iterator[Callable[[Step], None]]:
        """While it lasts, what is called with each step shows it."""
        if not self._output.is_live:
            yield self._print
            return
        with Live(_Now(self._now), console=self._output.console, refresh_per_second=10, transient=True) as live:
            self._live = live
            self._seen_at = time.monotonic()
            yield self._print

    def lines(self, steps: tuple[Step, ...]) -> list[Text]:
        """What has happened, all at once."""
        return [self._line(step) for step in steps]

    def _print(self, step: Step) -> None:
        self._seen_at = time.monotonic()
        line = self._line(step)
        self._last = step
        self._output.show(line)

    def _line(self, step: Step) -> Text:
        self._first = self._first or step.at
        mark, style = _MARKS.get(step.status, ("✓", "green"))
        since = seconds((step.at - self._first).total_seconds())
        retried = step.status is Status.FAILED and not step.is_terminal
        return Text.assemble(
            (mark, "yellow" if retried else style),
            f" {step.status.value:<9} ",
            (f"{'+' + since:>10}", "dim"),
            f"  {self._what(step)}".rstrip(),
        )

    def _what(self, step: Step) -> str:
        match step.status:
            case Status.OPEN:
                return waits_in_words(step)
            case Status.ROUTING if step.trigger is not None:
                return f"its {step.trigger.kind.value} is reached: {amount(step.trigger.price)} {self._out} at the time"
            case Status.PENDING if step.trigger is not None:
                return "on its way"
            case Status.PENDING if step.queued_until is not None:
                return f"in line until {local_time(step.queued_until)}: at most so many orders start in a minute"
            case Status.PENDING:
                return "accepted"
            case Status.BUILDING if step.quoted_out is not None:
                return f"quoted {amount(step.quoted_out)} {self._out} by {route_in_words(step.route or ())}"
            case Status.SUBMITTED:
                return f"transaction {shortened(step.tx_hash or '', whole=self._output.is_roomy)}"
            case Status.CONFIRMED if step.amount_out is not None:
                return f"got {amount(step.amount_out)} {self._out} at {amount(step.executed_price)}"
            case Status.FAILED:
                return failure_in_words(step)
        return ""

    def _now(self) -> RenderableType:
        if self._last is not None and self._last.is_terminal:
            return Text()
        doing = _NEXT.get(self._last.status, "") if self._last else "waiting for news"
        waited = time.monotonic() - self._seen_at
        if self._last is not None and self._last.status is Status.FAILED and self._last.retry_in_ms:
            left = max(self._last.retry_in_ms / 1000 - waited, 0.0)
            doing = f"attempt {self._last.retry_count + 1} of {ATTEMPTS} starts in {left:.0f} s"
        return Text.assemble((f"{doing} … ", "cyan"), (f"{waited:.1f} s", "dim"))


class _Now:
    """A spinner with what is going on beside it, made again at each drawing."""

    def __init__(self, describe: Callable[[], RenderableType]) -> None:
        self._describe = describe
        self._spinner = Spinner("dots", style="cyan")

    def __rich__(self) -> RenderableType:
        text = self._describe()
        if isinstance(text, Text) and not text.plain:
            return Group()
        self._spinner.update(text=text)
        return self._spinner


def route_in_words(route: tuple[Leg, ...]) -> str:
    """`meteora-dlmm 60 % + raydium-clmm 40 %`, hop by hop; of orders that tell no program, the exchange."""
    hops: dict[str, list[str]] = {}
    for leg in route:
        part = "" if leg.share == 1 else f" {percent(leg.share)}"
        hops.setdefault(leg.token_out, []).append(f"{printable(leg.program or leg.dex)}{part}")
    if len(hops) == 1:
        return " + ".join(next(iter(hops.values())))
    return ", then ".join(f"{' + '.join(parts)} to {printable(token)}" for token, parts in hops.items())


def waits_in_words(step: Step) -> str:
    """For which prices it waits, and why it waits again."""
    prices = [
        *([f"{amount(step.limit_price)} or more"] if step.limit_price is not None else []),
        *([f"{amount(step.stop_price)} or less"] if step.stop_price is not None else []),
    ]
    follows = f", {percent(step.trailing)} below the best price" if step.trailing is not None else ""
    waits = f"waits for {' or '.join(prices)}{follows}"
    if step.trigger is not None:
        waits = f"its {step.trigger.kind.value} was reached, it waits for its floor"
    words = words_for(step.error_code)
    return f"{waits}: {words.meaning}" if words else waits


def failure_in_words(step: Step) -> str:
    """Why an attempt failed, and what comes then."""
    words = words_for(step.error_code)
    why = words.meaning if words else printable(step.error or "no reason given")
    if step.is_terminal:
        return why
    return f"attempt {step.retry_count} of {ATTEMPTS}: {why} Trying again in {(step.retry_in_ms or 0) / 1000:g} s."
