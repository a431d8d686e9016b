"""One version for the API, the client and the changelog; and what `make release` refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.contract import asyncapi, openapi
from chalicelib.contract.version import VERSION
from infra.project import PROJECT
from quality.release import Candidate, client_version, never_passed, newest_version, problems_of

RELEASABLE = Candidate(
    version="1.2.0",
    client_version="1.2.0",
    newest=("1.2.0", "2026-12-01"),
    uncommitted=(),
    tags=frozenset({"v1.1.0"}),
    programs="/programs",
)


def test_the_api_the_client_and_the_changelog_have_one_version() -> None:
    newest = newest_version((PROJECT / "CHANGELOG.md").read_text())
    assert newest is not None
    told = {
        openapi.document(key_optional=False)["info"]["version"],
        asyncapi.document("wss://x/api")["info"]["version"],
        client_version(),
        newest[0],
    }
    assert told == {VERSION}


def test_what_has_one_version_a_date_and_no_tag_can_be_released() -> None:
    assert problems_of(RELEASABLE) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"uncommitted": (" M app.py",)}, "the tree is not clean: 1 files differ from the commit"),
        ({"client_version": "1.1.0"}, "client/pyproject.toml has version 1.1.0, the API has 1.2.0"),
        ({"newest": ("1.1.0", "2026-11-01")}, "CHANGELOG.md begins with 1.1.0, the API has 1.2.0"),
        (
            {"newest": ("1.2.0", "unreleased")},
            "CHANGELOG.md gives 1.2.0 no date: write its heading as `## 1.2.0 - YYYY-MM-DD`",
        ),
        ({"tags": frozenset({"v1.2.0"})}, "there is a tag v1.2.0 already: raise the version"),
        (
            {"programs": None},
            "FILLRATE_PROGRAMS names no folder: the tests on real bytecode have to run (see CONTRIBUTING.md)",
        ),
    ],
)
def test_each_thing_that_is_wrong_is_named_and_nothing_else(change: dict[str, Any], reason: str) -> None:
    assert problems_of(replace(RELEASABLE, **change)) == [reason]


def test_a_changelog_without_a_version_can_not_be_released() -> None:
    assert newest_version("# Changelog\n\n## Unreleased\n") is None
    assert len(problems_of(replace(RELEASABLE, newest=None))) == 2


def test_the_changelogs_first_version_is_its_newest() -> None:
    assert newest_version("## 1.2.0 - unreleased\n\n## 1.1.0 - 2026-11-01\n") == ("1.2.0", "unreleased")


def report(**outcomes: str) -> str:
    cases = "".join(
        f'<testcase classname="tests.unit" name="{name}">{"" if outcome == "passed" else f"<{outcome}/>"}</testcase>'
        for name, outcome in outcomes.items()
    )
    return f"<testsuites><testsuite>{cases}</testsuite></testsuites>"


def test_a_test_that_every_run_left_out_is_named() -> None:
    first = report(passes="passed", elsewhere="skipped", nowhere="skipped", broken="failure")
    second = report(elsewhere="passed", nowhere="skipped")
    assert never_passed([first, second]) == ["tests.unit::broken", "tests.unit::nowhere"]
