"""Compares our quotes with swaps that were run on the real programs.

    python tests/conformance/run_vectors.py FILE…

Prints each disagreement and `agree X of Y`. Exit status: 0 all agree, 1 some don't, 2 a file can't be used.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Runnable from anywhere, without PYTHONPATH.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conformance.agreement import run
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
    for case, disagreement in run(file):
        total += 1
        if disagreement is None:
            agreeing += 1
        else:
            print(f"{file.path.name}: {case.name}: {disagreement}")
    return agreeing, total


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
    raise SystemExit(main([Path(argument) for argument in sys.argv[1:]]))
