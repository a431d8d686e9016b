"""`make release`: whether this commit can be released, what is to be published, and what to type then.

It tags nothing and pushes nothing. What costs nothing is checked first; then everything is run, and no test may be
left out: a test that `make test` skips has to pass in `make faults` or `make localstack`, or the release is refused.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

from chalicelib.contract.version import VERSION
from infra.project import PROJECT

OUTPUT = PROJECT / "build" / "release"
PROGRAMS = "FILLRATE_PROGRAMS"
_HEADING = re.compile(r"^## (?P<version>\S+) - (?P<date>\S+)$", re.MULTILINE)


class NotReleasable(Exception):
    """The commit can't be released as it is; the text says why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a release is judged by before anything is run. `newest` is the changelog's first version and its date."""

    version: str
    client_version: str
    newest: tuple[str, str] | None
    uncommitted: tuple[str, ...]
    tags: frozenset[str]
    programs: str | None

    @property
    def tag(self) -> str:
        return f"v{self.version}"


def main() -> int:
    """The command line: 0 if the commit can be released, 1 with the reasons if not."""
    try:
        candidate = this_commit()
        wrong = problems_of(candidate)
        if wrong:
            raise NotReleasable("\n".join(wrong))
        _run_everything(candidate)
        published = _build()
    except NotReleasable as error:
        print(f"release: REFUSED\n{error}", file=sys.stderr)
        return 1
    print(f"\nFillrate {candidate.version} can be released; nothing is tagged or pushed yet. To publish it:\n")
    print(f'  git tag -a {candidate.tag} -m "Fillrate {candidate.version}"\n  git push origin {candidate.tag}\n')
    print("and attach:\n" + "\n".join(f"  {file.relative_to(PROJECT)}" for file in published))
    return 0


def this_commit() -> Candidate:
    """The checkout as it stands."""
    return Candidate(
        version=VERSION,
        client_version=client_version(),
        newest=newest_version((PROJECT / "CHANGELOG.md").read_text()),
        uncommitted=tuple(_git("status", "--porcelain").splitlines()),
        tags=frozenset(_git("tag", "--list").split()),
        programs=os.environ.get(PROGRAMS),
    )


def client_version() -> str:
    """The version that the Python client is published under."""
    return str(tomllib.loads((PROJECT / "client" / "pyproject.toml").read_text())["project"]["version"])


def newest_version(changelog: str) -> tuple[str, str] | None:
    """The changelog's first version and its date, which is `unreleased` until it has one; None if it has neither."""
    heading = _HEADING.search(changelog)
    return (heading["version"], heading["date"]) if heading else None


def problems_of(candidate: Candidate) -> list[str]:
    """Why this can't be released, a sentence each; none if it can, as far as is known before anything is run."""
    version = candidate.version
    wrong = []
    if candidate.uncommitted:
        wrong.append(f"the tree is not clean: {len(candidate.uncommitted)} files differ from the commit")
    if candidate.client_version != version:
        wrong.append(f"client/pyproject.toml has version {candidate.client_version}, the API has {version}")
    named, dated = candidate.newest or ("no version", "unreleased")
    if named != version:
        wrong.append(f"CHANGELOG.md begins with {named}, the API has {version}")
    if not _is_date(dated):
        wrong.append(f"CHANGELOG.md gives {version} no date: write its heading as `## {version} - YYYY-MM-DD`")
    if candidate.tag in candidate.tags:
        wrong.append(f"there is a tag {candidate.tag} already: raise the version")
    if candidate.programs is None:
        wrong.append(f"{PROGRAMS} names no folder: the tests on real bytecode have to run (see CONTRIBUTING.md)")
    return wrong


def never_passed(reports: Iterable[str]) -> list[str]:
    """The tests that passed in none of the runs, by name, sorted. `reports` are JUnit's XML, one for each run."""
    passed: dict[str, bool] = {}
    for report in reports:
        for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
            name = f"{case.get('classname')}::{case.get('name')}"
            left_out = any(case.find(outcome) is not None for outcome in ("skipped", "failure", "error"))
            passed[name] = passed.get(name, False) or not left_out
    return sorted(name for name, has_passed in passed.items() if not has_passed)


def _run_everything(candidate: Candidate) -> None:
    """Raises NotReleasable naming the first step that fails, or the tests that no step ran."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    reports = {target: OUTPUT / f"{target}.xml" for target in ("test", "faults", "localstack")}
    for report in reports.values():
        report.unlink(missing_ok=True)
    environment = os.environ | {PROGRAMS: str(Path(candidate.programs or "").resolve())}
    for target in ("lint", "audit", "coverage", *reports):
        arguments = [f"ARGS=--junit-xml={reports[target]}"] if target in reports else []
        print(f"release: make {target}", flush=True)
        if subprocess.run(["make", target, *arguments], cwd=PROJECT, env=environment, check=False).returncode:
            raise NotReleasable(f"make {target} failed")
    # `make localstack` writes none where LocalStack can't be installed: its tests were left out then.
    left_out = never_passed(report.read_text() for report in reports.values() if report.exists())
    if left_out:
        raise NotReleasable("these tests did not run:\n" + "\n".join(left_out))


def _build() -> tuple[Path, ...]:
    """The client's wheel and the deployment's zip. Raises NotReleasable."""
    client = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    steps = (
        [*client, "--wheel-dir", str(OUTPUT), str(PROJECT / "client")],
        [sys.executable, "-m", "infra.package", "--stage", "prod", "--output", str(OUTPUT)],
    )
    for step in steps:
        if subprocess.run(step, cwd=PROJECT, check=False).returncode:
            raise NotReleasable(f"failed: {' '.join(step[1:])}")
    return OUTPUT / f"fillrate-{VERSION}-py3-none-any.whl", OUTPUT / "deployment.zip", OUTPUT / "template.json"


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    raise SystemExit(main())
