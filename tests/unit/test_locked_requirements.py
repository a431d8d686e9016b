"""What pip installs is what was looked at: each package with its version and the hashes of its files, and no other."""

from __future__ import annotations

import re

import pytest

from infra.project import PROJECT
from quality.audit import advisories

PARTS = ["", "-local", "-dev", "-audit", "-build", "-localstack"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(part: str) -> dict[str, str]:
    """The packages that a requirements*.in names itself, with their versions."""
    lines = (PROJECT / f"requirements{part}.in").read_text().splitlines()
    pins = [re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?==(\S+)", line) for line in lines if line and line[0] not in "#-"]
    assert all(pins), "each is named with its version"
    return {normal(pin[1]): pin[2] for pin in pins if pin}


def locked(part: str) -> dict[str, tuple[str, int]]:
    """The packages of a requirements*.txt, each with its version and the number of its hashes."""
    text = (PROJECT / f"requirements{part}.txt").read_text().replace("\\\n", " ")
    packages = {}
    for line in text.splitlines():
        pin = re.match(r"([\w.-]+)==([^\s;]+)", line)
        assert pin, f"{line[:60]!r} is no pinned package"
        packages[normal(pin[1])] = (pin[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)))
    return packages


@pytest.mark.parametrize("part", PARTS)
def test_every_package_is_locked_with_hashes(part: str) -> None:
    assert locked(part)
    assert not [name for name, (_, hashes) in locked(part).items() if hashes == 0]


@pytest.mark.parametrize("part", PARTS)
def test_the_lock_is_of_the_requirements_as_they_are(part: str) -> None:
    """Fails after an edit without `make lock`."""
    lock = locked(part)
    assert wanted(part) == {name: lock.get(name, ("not locked", 0))[0] for name in wanted(part)}


@pytest.mark.parametrize(("smaller", "larger"), [("", "-local"), ("-local", "-dev"), ("-build", "-local")])
def test_what_is_deployed_is_what_was_tested(smaller: str, larger: str) -> None:
    assert locked(smaller).items() <= locked(larger).items()


def test_nothing_is_installed_without_its_hash() -> None:
    """But our own client, from this repository, which brings nothing along."""
    makefile = (PROJECT / "Makefile").read_text()
    installs = [line for line in makefile.splitlines() if re.search(r"\bpip install\b", line)]
    assert installs
    for line in installs:
        ours = "--no-deps" in line and "--no-build-isolation" in line and line.endswith(" -e client")
        assert "--require-hashes" in line or ours, line
    assert "--require-hashes" in (PROJECT / "infra" / "deployment" / "package.py").read_text()


def test_a_known_vulnerability_is_found_in_the_report() -> None:
    report = """{"dependencies": [{"name": "a", "version": "1", "vulns": []},
        {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}, {"id": "GHSA-2"}]}]}"""
    assert advisories(report) == ({"b 2": ["PYSEC-1", "GHSA-2"]}, [])


@pytest.mark.parametrize("report", ["", "Traceback", "[]x", "{}"])
def test_no_report_is_not_taken_for_a_good_one(report: str) -> None:
    assert advisories(report) == ({}, None)


def test_a_package_that_nobody_knows_is_named() -> None:
    report = (
        """{"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}]}"""
    )
    assert advisories(report) == ({}, ["b"])
