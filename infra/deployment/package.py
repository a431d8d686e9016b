"""Builds what is deployed: one zip for all functions, and the CloudFormation template that names them.

Chalice writes the template and collects the application; the dependencies are installed here, once for each
requirements file and platform, so that a deploy of changed code takes a second. The zip is the same, byte for byte,
for the same code: an unchanged deploy changes nothing.
"""

import argparse
import ast
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chalice.config import Config
from chalice.package import YAMLTemplateSerializer

from infra.deployment import chalice_project, slimming
from infra.project import PROJECT

Dependencies = Literal["lambda", "host"]

CACHE = PROJECT / "build" / "dependencies"

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_CACHE_VERSION = "4"  # raise it when the way dependencies are collected changes
_OLDEST_GLIBC = 17  # of the manylinux wheels, as in glibc 2.17


class PackageError(Exception):
    """The package can't be built; the text says why, with the end of the failing tool's output."""


@dataclass(frozen=True, slots=True)
class Package:
    """A built deployment: `template` is the merged SAM template, whose functions' CodeUri is still to be set."""

    template: dict[str, Any]
    archive: Path

    @property
    def digest(self) -> str:
        """SHA-256 of the archive, in hexadecimal."""
        return hashlib.sha256(self.archive.read_bytes()).hexdigest()


def build(stage: str, output: Path, dependencies: Dependencies, region: str = "us-east-1") -> Package:
    """Build `output`/deployment.zip and the template for `stage`.

    `dependencies` chooses the wheels: "lambda" for Lambda's x86_64 Linux, "host" for the Python that runs this (an
    emulator that runs the handlers on this machine needs those). Raises PackageError.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fillrate-package-") as directory:
        work = Path(directory)
        template = _run_chalice(stage, region, work)
        application = work / "application"
        with zipfile.ZipFile(work / "out" / "deployment.zip") as packed:
            packed.extractall(application)
        if not _compile(application):
            check_syntax(application)
        runtime = template["Resources"]["APIHandler"]["Properties"]["Runtime"]
        unfinished = work / "deployment.zip"
        shutil.copyfile(_dependencies_archive(dependencies, runtime), unfinished)
        _add_tree(unfinished, application)
        archive = output / "deployment.zip"
        shutil.move(unfinished, archive)
    return Package(template, archive)


def build_template(stage: str, region: str = "us-east-1") -> dict[str, Any]:
    """The template for `stage` alone, which needs no dependencies. Raises PackageError."""
    with tempfile.TemporaryDirectory(prefix="fillrate-package-") as directory:
        return _run_chalice(stage, region, Path(directory))


def lambda_runtime() -> str:
    """Lambda's name of the Python that Chalice packages for: the running one, or the nearest that Lambda has."""
    runtime: str = Config().lambda_python_version
    return runtime


def local_dependencies() -> Dependencies:
    """The wheels for an emulator that runs the handlers in this machine's Python: Lambda's own where they run here."""
    like_lambda = (
        platform.system() == "Linux"
        and platform.machine() == "x86_64"
        and platform.libc_ver()[0] == "glibc"
        and lambda_runtime() == _python()
    )
    return "lambda" if like_lambda else "host"


def _python() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _run_chalice(stage: str, region: str, work: Path) -> dict[str, Any]:
    """`chalice package` on a copy that has the application alone: no requirements, which are added afterwards."""
    source = work / "source"
    source.mkdir()
    chalice_project.copy_application(source)
    (source / "requirements.txt").touch()
    command = chalice_project.command(source, "package", "--stage", stage, "--pkg-format", "cloudformation")
    command += ["--merge-template", str(PROJECT / "infra" / "deployment" / "functions.yaml")]
    command += [str(work / "out")]
    # Nothing of the developer's AWS settings may find its way into the template. Chalice looks for credentials that it
    # doesn't need: it is to find some at once, and ask nobody, through no proxy.
    environment = {name: value for name, value in os.environ.items() if not _is_of_the_shell(name)}
    environment |= {"AWS_DEFAULT_REGION": region, "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "none")
    environment |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    try:
        _run(command, environment, "chalice package failed")
    except PackageError:
        check_syntax(source)
        raise
    template: dict[str, Any] = YAMLTemplateSerializer().load_template((work / "out" / "sam.yaml").read_text())
    return template


def _is_of_the_shell(name: str) -> bool:
    return name.startswith(("AWS_", "ORDERS_")) or name.lower().endswith("_proxy")


def _dependencies_archive(dependencies: Dependencies, runtime: str) -> Path:
    """A zip of requirements.txt's packages, from the cache if it was made before."""
    requirements = PROJECT / "requirements.txt"
    target = runtime if dependencies == "lambda" else f"{_python()}-{sysconfig.get_platform()}"
    contents = "\0".join([_CACHE_VERSION, target, requirements.read_text(), Path(slimming.__file__).read_text()])
    cached = CACHE / f"{dependencies}-{target}-{hashlib.sha256(contents.encode()).hexdigest()[:16]}.zip"
    if cached.exists():
        return cached
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        packages = Path(directory) / "packages"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        command += ["--target", str(packages), "--require-hashes", "--only-binary", ":all:"]
        command += ["--requirement", str(requirements)]
        command += _lambda_wheels(runtime) if dependencies == "lambda" else []
        _run(command, dict(os.environ), "the functions' dependencies can't be installed")
        _compile(packages, "-b")
        slimming.slim(packages)
        unfinished = Path(directory) / "dependencies.zip"
        _add_tree(unfinished, packages)
        # In one step: another build may look for it at this moment.
        unfinished.replace(cached)
    return cached


def _lambda_wheels(runtime: str) -> list[str]:
    """pip's options for wheels that run in Lambda: its glibc is 2.26 up to Python 3.11, 2.34 from 3.12 on."""
    version = runtime.removeprefix("python")
    glibc = 26 if int(version.split(".")[1]) <= 11 else 34
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(glibc, _OLDEST_GLIBC - 1, -1)]
    options = ["--implementation", "cp", "--python-version", version]
    for name in [*platforms, "manylinux2014_x86_64"]:
        options += ["--platform", name]
    return options


def check_syntax(directory: Path) -> None:
    """Raises PackageError naming the first file in `directory` that isn't Python, and the line."""
    for path in sorted(directory.rglob("*.py")):
        try:
            ast.parse(path.read_bytes())
        except SyntaxError as error:
            where = path.relative_to(directory)
            raise PackageError(f"{where}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from None


def _compile(directory: Path, *options: str) -> bool:
    """Bytecode next to the sources, never checked against their times: a cold start compiles nothing.

    False where a source isn't Python. `options` are compileall's.
    """
    command = [sys.executable, "-m", "compileall", "-qq", *options, "-s", str(directory)]
    command += ["--invalidation-mode", "unchecked-hash", str(directory)]
    # In a process of its own with fixed hashes: the bytes depend on what else the interpreter holds.
    return subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "0"}, check=False).returncode == 0


def _add_tree(archive: Path, directory: Path) -> None:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(directory).as_posix(), _ZIP_TIME)
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)


def _run(command: list[str], environment: dict[str, str], failure: str) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise PackageError(f"{failure}:\n{tail}")


def main() -> int:
    """The command line: builds into a directory, for a deploy by other means or to be looked at."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description="Build what is deployed.")
    parser.add_argument("--stage", default="prod")
    parser.add_argument("--output", type=Path, default=PROJECT / "build" / "package")
    parser.add_argument("--dependencies", choices=("lambda", "host"), default="lambda")
    parser.add_argument("--template-only", action="store_true")
    options = parser.parse_args()
    try:
        if options.template_only:
            template = build_template(options.stage)
        else:
            built = build(options.stage, options.output, options.dependencies)
            template = built.template
            print(f"{built.archive} ({built.archive.stat().st_size / 1e6:.1f} MB)")
    except PackageError as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    written = options.output / "template.json"
    written.write_text(json.dumps(template, indent=2) + "\n")
    print(written)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
