"""What `make up` shows: each step, and that a long one goes on."""

from __future__ import annotations

import re
from threading import Condition

from infra.local_stack.progress import StepsShown


class Terminal:
    """Lines as they come."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = Condition()

    def write(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify()

    def wait_for(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(text in line for line in self.lines), timeout=30)


def test_each_step_is_shown_with_the_time_since_the_beginning() -> None:
    terminal = Terminal()
    with StepsShown(terminal.write) as report:
        report("started the chain")
        report("deployed")
    assert [re.sub(r"\d+\.\d", "T", line) for line in terminal.lines] == [
        "[  T s] started the chain",
        "[  T s] deployed",
    ]


def test_a_step_that_takes_long_is_named_again_until_the_next_and_no_longer_than_it_all_lasts() -> None:
    terminal = Terminal()
    with StepsShown(terminal.write, quiet_seconds=0.02) as report:
        terminal.wait_for("since then: starting")
        report("packaging the functions")
        terminal.wait_for("since then: packaging the functions")
        report("deployed")
        terminal.wait_for("since then: deployed")
    ended = len(terminal.lines)
    assert not report._thread.is_alive()
    assert len(terminal.lines) == ended
