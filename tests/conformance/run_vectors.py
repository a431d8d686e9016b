"""Compares our quotes with swaps that were run on the real programs.

    python tests/conformance/run_vectors.py FILE…

Prints each disagreement and `agree X of Y`. Cases of the kinds that no quote can reproduce are not among the Y: they
are listed before it by kind, each with what ours did.
Exit status: 0 all agree, 1 some don't, 2 a file can't be used.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

# Runnable from anywhere, without PYTHONPATH.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conformance.agreement import CaseReport, run
from tests.conformance.vector_file import VectorFile


def main(paths: list[Path]) -> int:
    agreeing = total = 0
    for path in paths:
        try:
            file = VectorFile.load(path)
            file_agreeing, file_total = _report(file)
        except (OSError, ValueError, KeyError) as error:
            print(f"{path}: not a vector file: {type(error).__name__}: {error}", file=sys.stderr)
            return 2
        if len(paths) > 1:
            print(f"{path.name}: {file_agreeing} of {file_total}")
        agreeing, total = agreeing + file_agreeing, total + file_total
    print(f"agree {agreeing} of {total}")
    return 0 if agreeing == total else 1


def _report(file: VectorFile) -> tuple[int, int]:
    agreeing = total = 0
    apart: defaultdict[str, list[CaseReport]] = defaultdict(list)
    for report in run(file):
        if report.not_reproduced:
            apart[report.case.kind].append(report)
            continue
        total += 1
        if report.disagreement is None:
            agreeing += 1
        else:
            print(f"{file.path.name}: {report.case.name}: {report.disagreement}")
    for kind, reports in sorted(apart.items()):
        print(f"{file.path.name}: not reproduced, kind {kind}: {len(reports)}")
        for report in reports:
            print(f"    {report.case.name}: {report.outcome}")
    return agreeing, total


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
    raise SystemExit(main([Path(argument) for argument in sys.argv[1:]]))
