"""`make mutants`: mutates the files that decide about money, and tells which mutants the tests let live.

All of them, which takes half an hour on two cores and writes the scores into docs/reliability.md; or one file (FILE=…).
Exit code 1 where a file is below the floor, or a survivor has no reason in survivors.toml.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from quality.mutants.score import Score, complaints, score_of, table
from quality.mutants.survivors import reviewed
from quality.mutants.targets import TARGETS, Target
from quality.mutants.verdicts import mutants_of
from quality.mutants.workspace import PROJECT, MutmutFailed, Workspace

DOCUMENT = PROJECT / "docs" / "reliability.md"
BEGIN, END = "<!-- make mutants writes from here -->\n", "<!-- to here -->\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m quality.mutants", description="How strict the tests are.")
    parser.add_argument("file", nargs="?", help="mutate this file alone")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="how many mutants at once")
    parser.add_argument("--report", action="store_true", help="run nothing, tell the last run's verdicts")
    options = parser.parse_args()
    targets = [target for target in TARGETS if options.file in (None, *target.files)]
    if not targets:
        parser.error(
            f"{options.file} is not mutated; these are: {', '.join(file for t in TARGETS for file in t.files)}"
        )
    try:
        for target in () if options.report else targets:
            _run(target, options.file, options.children)
    except MutmutFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    scores = [score for target in targets for score in _scores(target, options.file)]
    print(table(scores))
    found = list(complaints(scores, reviewed()))
    for complaint in found:
        print(complaint, file=sys.stderr)
    if options.file is None and not any(score.not_run for score in scores):
        _write(scores)
    return 1 if found else 0


def _run(target: Target, file: str | None, children: int) -> None:
    workspace, began = Workspace(target), time.monotonic()
    print(f"mutating {file or target.name}", file=sys.stderr, flush=True)
    workspace.lay_out(afresh=file is None)
    workspace.run(children, file)
    print(f"  took {(time.monotonic() - began) / 60:.1f} minutes", file=sys.stderr, flush=True)


def _scores(target: Target, file: str | None) -> Sequence[Score]:
    mutants = Workspace(target).mutants
    return [
        score_of(one, mutants_of(mutants, one), about_money=one in target.about_money)
        for one in target.files
        if file in (None, one)
    ]


def _write(scores: Sequence[Score]) -> None:
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(scores)}\n\n{END}{after}")


if __name__ == "__main__":
    raise SystemExit(main())
