"""Chalice's own commands, each run on a copy of the application in a directory of its own."""

import json
import shutil
import sys
from pathlib import Path

from infra.project import PROJECT

# What app.py is told, by .chalice/config.json, where Chalice runs without what Fillrate adds to it.
_CHALICE_ALONE = "CHALICE_ALONE"
# Its `main` returns the exit code, also after an exception, and leaves it to its caller to end with it.
_CHALICE = "import sys; from chalice.cli import main; sys.exit(main())"


def copy_application(project: Path) -> None:
    """Copy app.py, the library and Chalice's settings into the directory `project`; no requirements."""
    shutil.copy(PROJECT / "app.py", project)
    shutil.copytree(PROJECT / "chalicelib", project / "chalicelib", ignore=shutil.ignore_patterns("__pycache__"))
    (project / ".chalice").mkdir()
    for settings in (PROJECT / ".chalice").glob("*.json"):
        shutil.copy(settings, project / ".chalice")
    path = project / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    config["environment_variables"].pop(_CHALICE_ALONE)
    path.write_text(json.dumps(config))


def command(project: Path, *arguments: str) -> list[str]:
    """The command line of Chalice's command `arguments` on `project`; it exits with 0 only if that went well."""
    return [sys.executable, "-c", _CHALICE, "--project-dir", str(project), *arguments]
