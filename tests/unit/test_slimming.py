"""What is taken out of the deployed dependencies, and that what is left still loads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import solders

from infra.deployment.slimming import slim, without_symbols

LIBRARY = next(Path(solders.__file__).parent.glob("*.so"))


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    for name in ("pydantic/main", "pydantic/v1/main", "aws_lambda_powertools/event_handler/api"):
        source = tmp_path / f"{name}.py"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("x = 1\n")
        source.with_suffix(".pyc").write_bytes(b"bytecode")
    (tmp_path / "pydantic" / "py.typed").touch()
    (tmp_path / "pydantic-2.dist-info").mkdir()
    (tmp_path / "pydantic-2.dist-info" / "METADATA").write_text("Name: pydantic\n")
    (tmp_path / "pydantic-2.dist-info" / "RECORD").write_text("pydantic/main.py,,\n")
    return tmp_path


def left(packages: Path) -> set[str]:
    return {path.relative_to(packages).as_posix() for path in packages.rglob("*") if path.is_file()}


def test_what_nothing_loads_goes_and_so_do_sources_and_stubs(packages: Path) -> None:
    slim(packages)
    assert left(packages) == {"pydantic/main.pyc", "pydantic-2.dist-info/METADATA"}


def test_a_source_without_bytecode_stays(packages: Path) -> None:
    (packages / "pydantic" / "main.pyc").unlink()
    slim(packages)
    assert "pydantic/main.py" in left(packages)


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries of other systems are left as they are")
def test_a_library_without_symbols_is_smaller_and_works_as_before(tmp_path: Path) -> None:
    whole = LIBRARY.read_bytes()
    stripped = without_symbols(whole)
    assert len(stripped) < len(whole)
    assert without_symbols(stripped) == stripped
    shutil.copytree(LIBRARY.parent, tmp_path / "solders", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (tmp_path / "solders" / LIBRARY.name).write_bytes(stripped)
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from solders.keypair import Keypair\n"
        "print(sys.modules['solders.solders'].__file__, Keypair.from_seed(bytes(32)).pubkey())\n"
        "try: Keypair.from_seed(b'')\n"
        "except ValueError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # the address of the seed of zeros: RFC 8032's key, in base58
    assert done.stdout.split() == [
        str(tmp_path / "solders" / LIBRARY.name),
        "4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS",
        "refused",
    ]


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\xcf\xfa\xed\xfe of macOS", b"\x7fELF\x01\x01 of 32 bits"])
def test_what_is_no_library_of_linux_stays_as_it_is(content: bytes) -> None:
    assert without_symbols(content) == content
