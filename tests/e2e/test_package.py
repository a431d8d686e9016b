"""What is deployed runs from its zip alone: the emulator's environment would hide a missing requirement."""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra.deployment import package
from infra.project import PROJECT

MAXIMUM_ZIP_BYTES = 15_000_000
# Lambda has boto3 and what it brings; the zip needn't.
LAMBDA_HAS = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")
IMPORT_APP = """
import json, sys, time
before = time.perf_counter()
import app
took = time.perf_counter() - before
import solders.solders, pydantic
files = [module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)]
print(json.dumps({"seconds": took, "files": files}))
"""

IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys
import app, chalicelib
names = [found.name for found in pkgutil.walk_packages(chalicelib.__path__, "chalicelib.")]
for name in names:
    importlib.import_module(name)
files = [module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)]
print(json.dumps({"names": names, "files": files}))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package.build("local", tmp_path_factory.mktemp("package"), package.local_dependencies()).archive


@pytest.fixture(scope="module")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The function's directory, as Lambda would see it."""
    directory = tmp_path_factory.mktemp("function")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(directory)
    return directory


@pytest.fixture(scope="module")
def clean_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has boto3 as Lambda has, and nothing else."""
    directory = tmp_path_factory.mktemp("python")
    venv.create(directory, with_pip=False, symlinks=True)
    theirs = next(directory.glob("lib/python*/site-packages"))
    ours = Path(pytest.__file__).resolve().parent.parent
    for name in LAMBDA_HAS:
        (theirs / name).symlink_to(ours / name)
    return directory / "bin" / "python"


def test_app_imports_from_the_zip_with_nothing_but_boto3_and_no_environment(
    unpacked: Path, clean_python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = _told(clean_python, IMPORT_APP, unpacked)
    with capsys.disabled():
        print(f"\ncold import of app: {report['seconds'] * 1000:.0f} ms")
    assert not _stray(report["files"], unpacked, clean_python)


def test_each_module_loads_from_the_zip_also_those_that_are_loaded_late(unpacked: Path, clean_python: Path) -> None:
    """What infra/deployment/slimming.py takes out of the dependencies nobody asks for."""
    report = _told(clean_python, IMPORT_EVERYTHING, unpacked)
    late = {"chalicelib.venues.supported", "chalicelib.aws.kms_wallet", "chalicelib.discovery.scheduled"}
    assert late < set(report["names"])
    assert not _stray(report["files"], unpacked, clean_python)


def _told(python: Path, program: str, directory: Path) -> dict[str, Any]:
    """What a program prints in the end, in JSON."""
    environment = {"PATH": os.defpath, "AWS_EC2_METADATA_DISABLED": "true"}
    command = [str(python), "-c", program]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _stray(files: list[str], unpacked: Path, python: Path) -> list[str]:
    """What was imported from elsewhere: of a requirement that is missing the test would not notice."""
    allowed = (str(unpacked), str(python.parent.parent), sys.base_prefix)
    return [file for file in files if not str(Path(file)).startswith(allowed)]


def test_the_zip_is_small_enough_to_start_quickly(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = archive.stat().st_size
    with capsys.disabled():
        print(f"\ndeployment.zip: {size / 1e6:.1f} MB")
    assert size < MAXIMUM_ZIP_BYTES


def test_the_zip_holds_the_application_and_its_requirements_only(unpacked: Path) -> None:
    requirements = {
        re.split(r"[=<>\[ ]", line)[0].lower().replace("_", "-")
        for line in (PROJECT / "requirements.txt").read_text().splitlines()
        if line[:1].isalpha()  # the rest are hashes
    }
    installed = {path.name.split("-")[0].lower().replace("_", "-") for path in unpacked.glob("*.dist-info")}
    assert requirements <= installed
    for development in ("tests", "infra", "bench", "docs", "conftest.py", ".local", ".chalice", "moto", "ministack"):
        assert not (unpacked / development).exists(), development
    ours = {path.name for path in unpacked.iterdir() if (PROJECT / path.name).exists()}
    assert ours == {"app.py", "chalicelib"}


def test_the_zip_holds_no_secret(unpacked: Path) -> None:
    mine = [unpacked / "app.py", *(unpacked / "chalicelib").rglob("*")]
    names = [path.name for path in unpacked.rglob("*")]
    assert not [name for name in names if name in ("wallet.json", ".env", "credentials", "id.json") or ".pem" in name]
    # A solana-keygen file is a list of 64 numbers; a private key in PEM says so.
    secret = re.compile(rb"\[\s*(\d{1,3}\s*,\s*){63}\d{1,3}\s*\]|PRIVATE KEY|AKIA[0-9A-Z]{16}")
    assert not [path for path in mine if path.is_file() and secret.search(path.read_bytes())]


def test_the_same_code_gives_the_same_zip(archive: Path, tmp_path: Path) -> None:
    again = package.build("local", tmp_path, package.local_dependencies())
    assert again.archive.read_bytes() == archive.read_bytes()


@pytest.mark.skipif(package.local_dependencies() == "host", reason="this machine packs its own wheels anyway")
def test_a_host_that_is_not_lambdas_platform_gets_its_own_wheels(tmp_path: Path, clean_python: Path) -> None:
    """The way of macOS and of arm64, forced: what pip installs for this Python imports here."""
    built = package.build("local", tmp_path / "package", "host")
    with zipfile.ZipFile(built.archive) as packed:
        packed.extractall(tmp_path / "function")
    done = subprocess.run(
        [clean_python, "-c", IMPORT_APP],
        cwd=tmp_path / "function",
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
