"""Where a command's words go: results to stdout, all else to stderr; with --json nothing but JSON on either."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode, of_error
from fillrate.cli.plain_words import words_for
from fillrate.errors import FillrateError, NotEnded, Problem, SubmissionUnknown

# What is not a terminal has no edge: nothing is wrapped or cut there.
_NO_EDGE = 10_000
_ROOMY = 126


class Output:
    """One command's. rich itself minds NO_COLOR, TERM=dumb and whether stdout is a terminal."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = _console(sys.stdout.isatty())
        self.notes = _console(sys.stderr.isatty(), stderr=True)

    @property
    def is_live(self) -> bool:
        """Whether what was printed can be drawn over."""
        return self.console.is_terminal and not self.console.is_dumb_terminal and not self.as_json

    @property
    def is_roomy(self) -> bool:
        """Whether whole addresses fit a line."""
        return self.console.width >= _ROOMY

    def json(self, value: object) -> None:
        """One line, so that many of them can be read one by one."""
        print(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str), flush=True)  # noqa: T201

    def show(self, *what: RenderableType) -> None:
        for one in what:
            if isinstance(one, Table) and not self.console.is_terminal:
                self._show_plain(one)
                continue
            # a line is left to the terminal to wrap, so that what is copied from it has no line ends of ours
            self.console.print(one, soft_wrap=isinstance(one, Text))

    def _show_plain(self, table: Table) -> None:
        """Without the blanks that fill its last column."""
        with self.console.capture() as captured:
            self.console.print(table)
        for line in captured.get().splitlines():
            self.console.print(line.rstrip(), soft_wrap=True)

    def line(self, text: str = "", style: str | None = None) -> None:
        self.console.print(text, style=style, soft_wrap=True)

    def note(self, text: str, style: str | None = "dim") -> None:
        """Said beside the result; not with --json."""
        if not self.as_json:
            self.notes.print(text, style=style, soft_wrap=True)

    def table(self, *columns: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
        """An empty table. `right` names the columns of numbers, `whole` those that are never wrapped.

        Plain where stdout is no terminal.
        """
        table = Table(
            box=box.SIMPLE_HEAD if self.console.is_terminal else None,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            header_style="bold",
            show_edge=False,
        )
        for name in columns:
            # an amount that is cut short would be another amount
            justify: Literal["left", "right"] = "right" if name in right else "left"
            table.add_column(name, justify=justify, overflow="fold", no_wrap=name in whole)
        return table

    def error(self, error: FillrateError, **more: object) -> ExitCode:
        """Tell it on stderr, with what to do; returns the exit code that goes with it."""
        self.problem(error_json(error) | more)
        return of_error(error)

    def problem(self, problem: Mapping[str, Any]) -> None:
        """`problem`: code, detail, and what else is known."""
        if self.as_json:
            print(json.dumps(problem, ensure_ascii=False), file=sys.stderr, flush=True)  # noqa: T201
            return
        words = words_for(str(problem["code"]))
        detail = printable(problem["detail"])
        self.note(f"✗ {words.meaning if words else detail}", "bold red")
        for line in _details(problem, detail if words else ""):
            self.note(f"  {line}", None)
        if words and words.advice:
            self.note(f"  {words.advice}")


def error_json(error: FillrateError) -> dict[str, Any]:
    """An error as stderr has it with --json: always `code` and `detail`."""
    content: dict[str, Any] = {"code": error.code, "detail": str(error)}
    if isinstance(error, Problem):
        content |= {"status": error.status, "title": error.title}
        if error.fields:
            content["errors"] = [{"field": one.field, "message": one.message} for one in error.fields]
        if error.retry_after is not None:
            content["retryAfter"] = error.retry_after
    if isinstance(error, SubmissionUnknown):
        content["idempotencyKey"] = error.idempotency_key
    if isinstance(error, NotEnded):
        content["orderId"] = error.order_id
    return content


def _details(problem: Mapping[str, Any], detail: str) -> list[str]:
    """What is known beyond the code; the fields say more than the detail made of them."""
    fields = [f"{printable(wrong['field'])}: {printable(wrong['message'])}" for wrong in problem.get("errors", ())]
    lines = fields or [detail] * bool(detail)
    if problem.get("retryAfter") is not None:
        lines.append(f"try again in {problem['retryAfter']:g} s")
    if problem.get("idempotencyKey"):
        floor = f" --min-out {printable(problem['minOut'])}" if problem.get("minOut") else ""
        lines.append(f"--idempotency-key {problem['idempotencyKey']}{floor}")
    return lines


def _console(is_terminal: bool, *, stderr: bool = False) -> Console:
    return Console(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=not is_terminal,
        width=None if is_terminal else _NO_EDGE,
    )
