"""`python -m quality.mutants.generate`: what `mutmut run` does before it runs a test, in a folder with its setup.cfg.

The files with their mutants come into `mutants/`; of a file that is as it was the verdicts stay.
"""

from __future__ import annotations

import os
from pathlib import Path

from mutmut.__main__ import create_mutants, store_lines_covered_by_tests
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, setup_source_paths


def main() -> int:
    """The command line. Raises what mutmut raises."""
    set_mutant_under_test("mutant_generation")
    Path("mutants").mkdir(exist_ok=True)
    copy_src_dir()
    copy_also_copy_files()
    setup_source_paths()
    store_lines_covered_by_tests()
    create_mutants(os.cpu_count() or 1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
