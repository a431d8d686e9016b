"""What is committed is what the sources build."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quality.code_generation.documents import schema_document

PROJECT = Path(__file__).parents[2]
WEB = PROJECT / "web"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (WEB / "node_modules" / "esbuild").is_dir(),
    reason="the page's tools aren't installed: make npm-tools",
)


def run(*command: str) -> str:
    result = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@needs_node
def test_the_committed_page_is_what_its_sources_build(tmp_path: Path) -> None:
    run("node", "build.mjs", "--out", str(tmp_path))
    committed = {path.name: path.read_bytes() for path in (PROJECT / "chalicelib" / "web").iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == committed, "run `make web` and commit"


@needs_node
def test_the_committed_types_are_what_the_services_documents_say(tmp_path: Path) -> None:
    schemas, types = tmp_path / "schemas.json", tmp_path / "schemas.ts"
    schemas.write_text(json.dumps(schema_document()))
    run("node", "types.mjs", "--schemas", str(schemas), "--out", str(types))
    assert types.read_text() == (WEB / "src" / "schemas.ts").read_text(), "run `make web` and commit"


@needs_node
def test_the_sources_are_well_typed_and_formatted_and_pass_their_own_tests() -> None:
    run("npm", "run", "--silent", "check")
    assert re.search(r"tests [1-9]", run("npm", "test", "--silent"))
