"""A bench leaves the committed results alone unless it is asked to replace them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.written import LAST_RUN, RECORD, Written
from infra.project import PROJECT


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    record, last_run = tmp_path / "results", tmp_path / "build"
    record.mkdir()
    (record / "cost.json").write_text("on record")
    return record, last_run


def test_a_run_is_written_beside_the_record(places: tuple[Path, Path]) -> None:
    record, last_run = places
    run = Written(False, record, last_run)
    assert run.latest("cost.json").read_text() == "on record"
    run.write({"cost.json": "of this run"})
    assert (record / "cost.json").read_text() == "on record"
    assert run.latest("cost.json").read_text() == "of this run"


def test_a_run_that_is_to_be_recorded_replaces_the_record_and_reads_nothing_else(places: tuple[Path, Path]) -> None:
    record, last_run = places
    Written(False, record, last_run).write({"cost.json": "of another run"})
    run = Written(True, record, last_run)
    assert run.latest("cost.json").read_text() == "on record"
    run.write({"cost.json": "of this run"})
    assert (record / "cost.json").read_text() == "of this run"


def test_the_record_is_committed_and_the_last_run_is_not() -> None:
    ignored = (PROJECT / ".gitignore").read_text().split()
    assert (RECORD / "cost.json").exists()
    assert "/build/" in ignored
    assert LAST_RUN.is_relative_to(PROJECT / "build")


def test_no_bench_writes_the_record_by_itself() -> None:
    others = [path for path in (PROJECT / "bench").rglob("*.py") if path.name != "written.py"]
    assert others
    assert [path for path in others if "write_text" in path.read_text()] == []
