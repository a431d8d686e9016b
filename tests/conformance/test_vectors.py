"""Our quotes equal what the real programs paid."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.agreement import quoted, run, subject_of
from tests.conformance.subjects.meteora_dlmm import MeteoraDlmmSubject, arrays_in_swap_order
from tests.conformance.subjects.raydium_cpmm import RaydiumCpmmSubject
from tests.conformance.vector_file import VectorFile

VECTORS = Path(__file__).parent / "vectors"
RUNNER = Path(__file__).parent / "run_vectors.py"
# How many cases each file has, and how many of them are of kinds that no quote can reproduce.
CASES = {
    "raydium_cpmm.json": (184, 0),
    "meteora_dlmm.json": (367, 0),
    "meteora_damm_v2.json": (814, 69),
    "raydium_amm_v4.json": (496, 111),
    "meteora_damm_v1.json": (404, 32),
    "raydium_clmm.json.gz": (995, 28),
    "raydium_clmm_2026_by_models.json.gz": (558, 0),
}
# What a result tells of the transaction and not of the swap.
_OF_THE_TRANSACTION = {"ok", "cu", "host_fee"}


def _run(*paths: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, RUNNER, *paths], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def _copy_with(tmp_path: Path, change: dict[str, Any], of_case: dict[str, Any] | None = None) -> Path:
    """The CPMM file with its first paid case alone, its result changed, and itself."""
    content = json.loads((VECTORS / "raydium_cpmm.json").read_text())
    case = next(case for case in content["cases"] if case["result"]["ok"])
    case |= of_case or {}
    case["result"] |= change
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content | {"cases": [case]}))
    return path


@pytest.mark.parametrize("name", CASES)
def test_every_swap_of_the_real_program_is_quoted_to_the_unit(name: str) -> None:
    reports = list(run(VectorFile.load(VECTORS / name)))

    assert [f"{each.case.name}: {each.disagreement}" for each in reports if each.disagreement] == []
    assert (len(reports), sum(each.not_reproduced for each in reports)) == CASES[name]


@pytest.mark.parametrize("name", CASES)
def test_all_that_a_result_says_of_a_swap_is_compared(name: str) -> None:
    file = VectorFile.load(VECTORS / name)
    subject = subject_of(file)
    case = next(case for case in file.cases if case.ok and case.kind == "size")
    pool, _ = quoted(subject.venue, case)

    said = {field for each in file.cases if each.ok for field in each.result} - _OF_THE_TRANSACTION
    assert said == {"amount_out"} | (subject.effects(pool, case).keys() & said)


def test_dlmm_instructions_name_bin_arrays_in_swap_order() -> None:
    cases = [
        case for case in VectorFile.load(VECTORS / "meteora_dlmm.json").cases if case.kind == "bin_arrays_reversed"
    ]

    for case in cases:
        _, quote = quoted(MeteoraDlmmSubject.venue, case)
        in_order = arrays_in_swap_order(case)[: len(quote.remaining_accounts)]
        assert list(quote.remaining_accounts) == in_order
        assert in_order != in_order[::-1]
    assert cases


def test_cpmm_swaps_never_burn_more_than_the_quote_expects() -> None:
    for case in VectorFile.load(VECTORS / "raydium_cpmm.json").cases:
        if case.ok:
            _, quote = quoted(RaydiumCpmmSubject.venue, case)
            assert case.result["cu"] <= quote.compute_units <= case.result["cu"] * 1.2


def test_the_runner_needs_no_pythonpath_and_counts_agreements(tmp_path: Path) -> None:
    run_ = _run(VECTORS / "raydium_cpmm.json", cwd=tmp_path)

    assert run_.stdout.splitlines()[-1] == "agree 184 of 184"
    assert run_.returncode == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"amount_out": 10**18}, "amount_out 1000000000000000000"),
        ({"protocol_fee": 10**9}, "protocol_fee 1000000000"),
        ({"ok": False, "code": 6000, "name": "NotApproved"}, "6000 NotApproved"),
        ({"amount_out": "no number"}, "crashed"),
    ],
)
def test_the_runner_names_each_disagreement_and_fails(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    run_ = _run(_copy_with(tmp_path, change), cwd=tmp_path)

    assert named in run_.stdout
    assert run_.stdout.splitlines()[-1] == "agree 0 of 1"
    assert run_.returncode == 1


def test_the_runner_counts_apart_what_no_quote_can_reproduce(tmp_path: Path) -> None:
    path = _copy_with(tmp_path, {"ok": False, "code": 1}, {"kind": "insufficient_user_balance"})
    case = json.loads(path.read_text())["cases"][0]

    run_ = _run(path, cwd=tmp_path)

    assert run_.stdout.splitlines() == [
        "changed.json: not reproduced, kind insufficient_user_balance: 1",
        f"    {case['id']}: quoted {case['result']['amount_out']}",
        "agree 0 of 0",
    ]
    assert run_.returncode == 0


def test_what_a_case_leaves_out_has_its_default_and_compressed_files_are_read_too(tmp_path: Path) -> None:
    content = json.loads((VECTORS / "raydium_cpmm.json").read_text())
    case = next(case for case in content["cases"] if case["result"]["ok"] and not case["min_out"])
    content["pools"][case["pool"]]["clock"] = case["clock"]
    left_out = ("clock", "min_out", "kind", "mint_in", "mint_out", "raw_in")
    short = {name: value for name, value in case.items() if name not in left_out}
    path = tmp_path / "short.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content | {"cases": [short]}).encode()))

    run_ = _run(path, cwd=tmp_path)

    assert run_.stdout.splitlines() == ["agree 1 of 1"]


def test_the_runner_refuses_a_case_whose_direction_flag_and_mint_differ(tmp_path: Path) -> None:
    path = _copy_with(tmp_path, {})
    content = json.loads(path.read_text())
    content["cases"][0]["zero_for_one"] ^= True
    path.write_text(json.dumps(content))

    run_ = _run(path, cwd=tmp_path)

    assert "names 2 mints that go in" in run_.stderr
    assert run_.returncode == 2


def test_the_runner_refuses_a_file_of_another_format(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}")

    run_ = _run(path, cwd=tmp_path)

    assert "not a vector file" in run_.stderr
    assert run_.returncode == 2
