"""Chalice's commands: one that fails is known to have failed, and Chalice alone changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from infra.deployment import chalice_project
from infra.deployment.package import PackageError, build_template
from infra.project import PROJECT

CHALICE = (sys.executable, "-c", "import sys; from chalice.cli import main; sys.exit(main())")


@pytest.fixture
def asked_of_aws() -> Iterator[list[str]]:
    """What is asked of an AWS that refuses everything; its address is in AWS_ENDPOINT_URL."""
    asked: list[str] = []

    class Refuse(BaseHTTPRequestHandler):
        # It has no method for any verb, and says so here.
        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            asked.append(self.requestline)
            super().send_error(code, message, explain)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refuse) as server, pytest.MonkeyPatch.context() as patch:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield asked
        server.shutdown()


def run(*command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_chalice_deploy_alone_asks_nothing_of_aws_and_names_the_commands_to_use(
    tmp_path: Path, asked_of_aws: list[str]
) -> None:
    settings = {path.name: path.read_text() for path in (PROJECT / ".chalice").glob("*.json")}
    project = tmp_path / "project"
    project.mkdir()
    chalice_project.copy_application(project)
    for name, text in settings.items():
        (project / ".chalice" / name).write_text(text)
    done = run(*CHALICE, "deploy", "--stage", "localstack", directory=project)
    assert done.returncode != 0
    assert "python -m infra.deploy --stage" in done.stderr
    assert "python -m infra.chalice_deploy --stage" in done.stderr
    assert "Traceback" not in done.stderr
    assert asked_of_aws == []
    assert not (project / ".chalice" / "deployed").exists()


def test_what_fillrate_runs_of_chalice_on_the_same_application_goes_on() -> None:
    template = build_template("localstack")
    assert "APIHandler" in template["Resources"]
    assert "CHALICE_ALONE" not in json.dumps(template)


def test_a_deploy_that_aws_refuses_ends_with_an_error_code(tmp_path: Path, asked_of_aws: list[str]) -> None:
    """Chalice prints what went wrong and returns a code; its process once ended with 0 all the same."""
    (tmp_path / ".chalice").mkdir()
    (tmp_path / ".chalice" / "config.json").write_text('{"version": "2.0", "app_name": "small"}')
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "app.py").write_text(
        "from chalice import Chalice\napp = Chalice(app_name='small')\n"
        "@app.lambda_function()\ndef f(event, context): pass\n"
    )
    done = run(*chalice_project.command(tmp_path, "deploy", "--stage", "prod"), directory=tmp_path)
    assert asked_of_aws
    assert done.returncode != 0


def test_an_application_that_cannot_be_loaded_is_not_packaged_and_the_error_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / ".chalice").mkdir()
    (tmp_path / "app.py").write_text("orders = (\n")
    (tmp_path / ".chalice" / "config.json").write_text((PROJECT / ".chalice" / "config.json").read_text())
    monkeypatch.setattr(chalice_project, "PROJECT", tmp_path)
    with pytest.raises(PackageError, match=r"app.py, line 1: .*never closed"):
        build_template("local")
