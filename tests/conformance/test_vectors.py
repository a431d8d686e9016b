"""Our quotes equal what the real programs paid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.agreement import MeteoraSubject, RaydiumSubject, arrays_in_swap_order, quoted, run
from tests.conformance.vector_file import VectorFile

VECTORS = Path(__file__).parent / "vectors"
RUNNER = Path(__file__).parent / "run_vectors.py"
CASES = {"raydium_cpmm.json": 184, "meteora_dlmm.json": 367}


def _run(*paths: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, RUNNER, *paths], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def _copy_with(tmp_path: Path, change: dict[str, Any]) -> Path:
    """The CPMM file with its first paid case alone, its result changed."""
    content = json.loads((VECTORS / "raydium_cpmm.json").read_text())
    case = next(case for case in content["cases"] if case["result"]["ok"])
    case["result"] |= change
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content | {"cases": [case]}))
    return path


@pytest.mark.parametrize(("name", "count"), CASES.items())
def test_every_swap_of_the_real_program_is_quoted_to_the_unit(name: str, count: int) -> None:
    results = list(run(VectorFile.load(VECTORS / name)))

    assert [f"{case.name}: {disagreement}" for case, disagreement in results if disagreement] == []
    assert len(results) == count


def test_dlmm_instructions_name_bin_arrays_in_swap_order() -> None:
    cases = [
        case for case in VectorFile.load(VECTORS / "meteora_dlmm.json").cases if case.kind == "bin_arrays_reversed"
    ]

    for case in cases:
        _, quote = quoted(MeteoraSubject.venue, case)
        in_order = arrays_in_swap_order(case)[: len(quote.remaining_accounts)]
        assert list(quote.remaining_accounts) == in_order
        assert in_order != in_order[::-1]
    assert cases


def test_cpmm_swaps_never_burn_more_than_the_quote_expects() -> None:
    for case in VectorFile.load(VECTORS / "raydium_cpmm.json").cases:
        if case.ok:
            _, quote = quoted(RaydiumSubject.venue, case)
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


def test_the_runner_refuses_a_file_of_another_format(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}")

    run_ = _run(path, cwd=tmp_path)

    assert "not a vector file" in run_.stderr
    assert run_.returncode == 2
