"""`make audit`: what is wrong with what we build on, by tools in an environment of their own (.venv-audit).

The templates' safety (checkov), packages that are imported and not named or named and not used (deptry), licences
(pip-licenses): all offline. Known vulnerabilities (pip-audit) need PyPI's database of them; where it isn't reached,
that is said, and is no failure.
"""

import json
import os
import site
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from infra.deployment.package import PackageError, build_template
from infra.project import PROJECT

TOOLS = PROJECT / ".venv-audit" / "bin"
TEMPLATE = PROJECT / "build" / "audit" / "template.json"

# What may be used for anything, and the Mozilla licence, which binds who changes its files (we change none).
LICENCES = (
    "MIT",
    "BSD",
    "Apache",
    "Python Software Foundation",
    "PSF-2.0",
    "ISC",
    "Mozilla Public License 2.0",
    "MPL-2.0",
)
# They name no licence in their metadata: solders' LICENSE is Apache-2.0, jsonalias' pyproject.toml says MIT.
LICENCE_KNOWN = ("solders", "jsonalias")


def main() -> int:
    """Run all of it; 0 if nothing is wrong."""
    checks: dict[str, Callable[[], bool]] = {
        "templates": _templates_are_safe,
        "packages named and used": _packages_are_named_and_used,
        "licences": _licences_are_free,
        "vulnerabilities": _no_vulnerability_is_known,
    }
    failed = [name for name, check in checks.items() if not _reported(name, check)]
    if failed:
        print(f"audit: FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _reported(name: str, check: Callable[[], bool]) -> bool:
    print(f"audit: {name}", flush=True)
    return check()


def _templates_are_safe() -> bool:
    try:
        template = build_template("prod")
    except PackageError as error:
        print(error, file=sys.stderr)
        return False
    TEMPLATE.parent.mkdir(parents=True, exist_ok=True)
    TEMPLATE.write_text(json.dumps(template, indent=2))
    command = ["checkov", "--framework", "cloudformation", "--compact", "--quiet", "--skip-download"]
    command += [
        "--file",
        "infra/deployment/data.yaml",
        "--file",
        "infra/deployment/monitoring.yaml",
        "infra/deployment/waf.yaml",
        "--file",
        str(TEMPLATE.relative_to(PROJECT)),
    ]
    return _run(command).returncode == 0


def _packages_are_named_and_used() -> bool:
    # It finds out which module is of which package from their metadata, which is in our environment and not in its own.
    environment = {"PYTHONPATH": os.pathsep.join(site.getsitepackages()), "PYTHONWARNINGS": "ignore"}
    return _run(["deptry", "."], environment).returncode == 0


def _licences_are_free() -> bool:
    command = ["pip-licenses", "--python", sys.executable, "--partial-match", "--allow-only", ";".join(LICENCES)]
    done = _run([*command, "--ignore-packages", *LICENCE_KNOWN], capture=True)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
    return done.returncode == 0


def _no_vulnerability_is_known() -> bool:
    command = ["pip-audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    done = _run([*command, "--requirement", "requirements-dev.txt"], capture=True)
    found, unanswered = advisories(done.stdout)
    for package, identities in found.items():
        print(f"  {package}: {', '.join(identities)}", file=sys.stderr)
    if unanswered is None:
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"  NOT CHECKED: the database of vulnerabilities can't be reached ({reason[:200]})")
    elif unanswered:
        some = ", ".join(unanswered[:5])
        print(f"  NOT CHECKED: the database of vulnerabilities has no answer for {len(unanswered)} packages: {some} …")
    return not found


def advisories(report: str) -> tuple[dict[str, list[str]], list[str] | None]:
    """What pip-audit's JSON says: the vulnerabilities' ids by "package version", and the packages it had no answer for.

    Those are None where there is no report at all.
    """
    try:
        dependencies: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return {}, None
    found = {
        f"{it['name']} {it['version']}": [vulnerability["id"] for vulnerability in it["vulns"]]
        for it in dependencies
        if it.get("vulns")
    }
    return found, [it["name"] for it in dependencies if "skip_reason" in it]


def _run(
    command: list[str], environment: dict[str, str] | None = None, *, capture: bool = False
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TOOLS / command[0]), *command[1:]],
        cwd=PROJECT,
        env=os.environ | {"CHECKOV_RUN_SCA": "0"} | (environment or {}),
        capture_output=capture,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    raise SystemExit(main())
