"""Where a run is written down: in build/bench, or, where it is asked for, in bench/results, which is committed."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from infra.project import PROJECT

RECORD = PROJECT / "bench" / "results"
LAST_RUN = PROJECT / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Written:
    """`recorded`: the run becomes the one that the documentation shows."""

    recorded: bool
    record: Path = RECORD
    last_run: Path = LAST_RUN

    @staticmethod
    def add_option(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--record", action="store_true", help="write to bench/results, which is committed, and not to build/bench"
        )

    def write(self, files: dict[str, str]) -> None:
        """Write each file's text, and say where."""
        directory = self.record if self.recorded else self.last_run
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text)
        place = directory.relative_to(PROJECT) if directory.is_relative_to(PROJECT) else directory
        print(f"written to {' and '.join(str(place / name) for name in files)}")

    def latest(self, name: str) -> Path:
        """A file of the last run, else of the one on record; may be missing in both. For the record, that one's."""
        last = self.last_run / name
        return last if last.exists() and not self.recorded else self.record / name
