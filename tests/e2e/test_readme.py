"""What the README says to type is typed here, as written, against a running stack."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from testing.client import Client
from tests.e2e.node_tools import PACKAGES, node_tool

PROJECT = Path(__file__).parents[2]
SECTION = (PROJECT / "README.md").read_text().split("\n## Trade\n")[1].split("\n## ")[0]
BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)


def blocks(language: str) -> list[str]:
    return [match["text"] for match in BLOCK.finditer(SECTION) if match["language"] == language]


@pytest.fixture(scope="module")
def checkout(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that looks like a clone in which `make up` ran."""
    directory = tmp_path_factory.mktemp("clone")
    (directory / ".local").mkdir()
    (directory / ".local" / "stack.json").write_text(json.dumps(stack))
    (directory / ".venv").mkdir()
    (directory / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (directory / "node_modules").symlink_to(PACKAGES)
    return directory


def run(command: list[str], checkout: Path, text: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(checkout), "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=checkout, input=text, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands_trade(checkout: Path, stack: dict[str, str]) -> None:
    (command_line,) = [text for text in blocks("sh") if "fillrate" in text]
    shown = run(["bash", "-euo", "pipefail"], checkout, command_line)
    # At the market's price, which wanders while other tests trade.
    assert re.search(r"^500 SOL → [\d,]+\.\d+ USDC +at \d+\.\d+ USDC per SOL$", shown, re.MULTILINE)
    assert "confirmed" in shown


def test_the_curl_lines_quote_trade_and_list(checkout: Path, stack: dict[str, str]) -> None:
    (curl,) = [text for text in blocks("sh") if "my-first" in text]
    client = Client(stack["restUrl"])
    answers = run(["bash", "-euo", "pipefail"], checkout, curl)
    quote, accepted, listed = (json.loads(line) for line in _objects(answers))
    assert quote["route"]
    assert client.ended(accepted["orderId"])["status"] == "confirmed"
    assert listed["orders"]


def test_wscat_shows_the_order_to_its_end(checkout: Path) -> None:
    node_tool("wscat")
    (rest,) = [line for line in blocks("sh")[1].splitlines() if line.startswith("REST=")]
    (watch,) = [text for text in blocks("sh") if "wscat" in text]
    # As from a terminal: wscat ends when its input does, or when the server closes after the order's end. Its input is
    # kept open by the shell itself, since a pipeline would last as long as what writes into it.
    text = f"mkfifo input\nexec 3<>input\n{rest}\n{watch.replace('npx wscat', 'npx --no-install wscat <input')}"
    assert '"status":"confirmed"' in run(["bash", "-c", text], checkout, "")


def test_the_python_lines_follow_an_order(checkout: Path) -> None:
    (python,) = blocks("python")
    assert "confirmed" in run([sys.executable, "-"], checkout, python)


def _objects(text: str) -> list[str]:
    """The JSON objects that curl wrote one behind the other, without a line's end between them."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        _, end = decoder.raw_decode(rest)
        found.append(rest[:end])
        rest = rest[end:].strip()
    return found
