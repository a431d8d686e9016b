"""`make mutants`: mutates the files that decide about money, and tells which mutants the tests let live.

All of them, which takes two hours or so on two cores and writes the scores into docs/reliability.md; or some (FILE=…).
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
from quality.mutants.workspace import PROJECT, MutationFailed, Workspace

DOCUMENT = PROJECT / "docs" / "reliability.md"
BEGIN, END = "<!-- make mutants writes from here -->\n", "<!-- to here -->\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m quality.mutants", description="How strict the tests are.")
    parser.add_argument("files", nargs="*", metavar="file", help="mutate these files alone")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="how many mutants at once")
    parser.add_argument("--report", action="store_true", help="run nothing, tell the last run's verdicts")
    options = parser.parse_args()
    mutated = [file for target in TARGETS for file in target.files]
    unknown = [file for file in options.files if file not in mutated]
    if unknown:
        parser.error(f"{', '.join(unknown)}: not mutated; these are: {', '.join(mutated)}")
    asked = [(target, _asked(target, options.files)) for target in TARGETS]
    asked = [(target, files) for target, files in asked if files]
    try:
        for target, files in () if options.report else asked:
            _run(target, files, options.children, afresh=not options.files)
    except MutationFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    scores = [score for target, files in asked for score in _scores(target, files)]
    print(table(scores))
    found = list(complaints(scores, reviewed()))
    for complaint in found:
        print(complaint, file=sys.stderr)
    if not options.files and not any(score.not_run for score in scores):
        _write(scores)
    return 1 if found else 0


def _asked(target: Target, files: Sequence[str]) -> Sequence[str]:
    """Those of the target's files that were asked for: all, where none was named."""
    return [file for file in target.files if not files or file in files]


def _run(target: Target, files: Sequence[str], children: int, *, afresh: bool) -> None:
    workspace, began = Workspace(target), time.monotonic()
    print(f"mutating {target.name if afresh else ' '.join(files)}", file=sys.stderr, flush=True)
    workspace.lay_out(afresh=afresh)
    workspace.run(children, () if afresh else files)
    print(f"  took {(time.monotonic() - began) / 60:.1f} minutes", file=sys.stderr, flush=True)


def _scores(target: Target, files: Sequence[str]) -> Sequence[Score]:
    mutants = Workspace(target).mutants
    return [score_of(one, mutants_of(mutants, one), about_money=one in target.about_money) for one in files]


def _write(scores: Sequence[Score]) -> None:
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(scores)}\n\n{END}{after}")


if __name__ == "__main__":
    raise SystemExit(main())
