"""What can't be packaged or installed is said in a sentence, with the place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.deployment import package
from infra.deployment.package import PackageError
from infra.project import PROJECT

INSTALL = PROJECT / "infra" / "local_stack" / "install.sh"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is packaged, to be broken."""
    copy = tmp_path / "project"
    copy.mkdir()
    shutil.copy(PROJECT / "app.py", copy)
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("chalicelib", ".chalice", "infra/deployment"):
        shutil.copytree(PROJECT / folder, copy / folder, ignore=ignored)
    for name, module in list(sys.modules.items()):
        if name.startswith("infra.deployment.") and hasattr(module, "PROJECT"):
            monkeypatch.setattr(module, "PROJECT", copy)
    return copy


def test_a_syntax_error_in_the_application_is_told_with_its_place(project: Path) -> None:
    application = project / "app.py"
    lines = application.read_text().splitlines()
    application.write_text("\n".join([*lines, "def unfinished(:"]))
    with pytest.raises(PackageError, match=rf"^app\.py, line {len(lines) + 1}: invalid syntax: def unfinished\(:$"):
        package.build_template("local")


def test_the_template_is_built_in_whatever_shell(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = package.build_template("local")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    assert package.build_template("local") == clean


def test_a_syntax_error_in_a_module_that_is_loaded_late_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / "app.py").write_text("x = 1\n")
    late = tmp_path / "chalicelib" / "late.py"
    late.write_text("x = 1\n")
    assert package._compile(tmp_path)
    package.check_syntax(tmp_path)
    late.write_text("x = 1\ny = = 2\n")
    assert not package._compile(tmp_path)
    with pytest.raises(PackageError, match=r"^chalicelib/late\.py, line 2: invalid syntax"):
        package.check_syntax(tmp_path)


def install(tmp_path: Path, requirement: str, **environment: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "requirements.txt"
    file.write_text(requirement)
    # into a folder of the test's: it would not be the environment that runs it, should it succeed after all
    command = [str(INSTALL), sys.executable, "--target", str(tmp_path / "packages"), "-r", str(file)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)


def test_without_a_network_the_installation_says_so_in_a_sentence(tmp_path: Path) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    done = install(tmp_path, f"nothing==1.0 --hash=sha256:{'0' * 64}\n", **nowhere)
    assert done.returncode == 1
    assert done.stderr.startswith("make: the packages can't be downloaded. Is there a network")
    assert len(done.stderr.splitlines()) == 1


def test_what_else_keeps_pip_from_installing_is_shown_in_its_own_words(tmp_path: Path) -> None:
    done = install(tmp_path, "no requirement\n", PIP_USER="1", PIP_TARGET="/nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("make: pip can't install the packages:")
    assert "no requirement" in done.stderr
