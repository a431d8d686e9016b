"""Whoever names a folder of real bytecode is told of what it lacks, and has nothing skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real_programs import METEORA_DLMM, RAYDIUM_CPMM, REAL_PROGRAMS, VARIABLE, require_real_programs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is named, with builds as new as those that are emulated."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    for program in REAL_PROGRAMS:
        (tmp_path / program.file_name).write_bytes(b"\x7fELF " + program.newest_instruction)
    return tmp_path


def test_a_whole_folder_is_taken(folder: Path) -> None:
    require_real_programs()
    assert METEORA_DLMM.bytecode == folder / "lb_clmm.so"


def test_a_missing_file_is_a_failure(folder: Path) -> None:
    RAYDIUM_CPMM.bytecode.unlink()
    with pytest.raises(pytest.fail.Exception, match=r"has no raydium_cp_swap\.so"):
        require_real_programs()


def test_a_build_older_than_what_is_emulated_is_a_failure(folder: Path) -> None:
    METEORA_DLMM.bytecode.write_bytes(b"\x7fELF Swap2")
    with pytest.raises(pytest.fail.Exception, match=r"lb_clmm\.so is older .* no PlaceLimitOrder"):
        require_real_programs()


def test_where_no_folder_is_named_the_test_is_skipped_and_says_how_to_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="make programs FILLRATE_PROGRAMS=DIR"):
        require_real_programs()
