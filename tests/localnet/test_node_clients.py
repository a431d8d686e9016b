"""The clients that run on Node, against the localnet, where Node and their packages are installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.localnet import Localnet

CLIENTS = Path(__file__).with_name("clients")
PACKAGES = Path(__file__).resolve().parents[2] / "testing" / "sdk"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
    pytest.mark.skipif(
        not (PACKAGES / "node_modules" / "@solana" / "kit").is_dir(),
        reason="npm packages are not installed: make npm-tools",
    ),
]


@pytest.fixture(scope="module")
def localnet() -> Iterator[Localnet]:
    """A chain whose blockhashes live for fifteen seconds: a busy machine's Node takes its time."""
    with Localnet("--slot-ms", "100", "--no-traders") as chain:
        yield chain


@pytest.mark.parametrize("client", ["web3js", "kit", "venues"])
def test_its_users_are_served(localnet: Localnet, client: str) -> None:
    command = ["node", str(CLIENTS / f"{client}.cjs"), localnet.url, str(PACKAGES)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert ended.stdout.strip().endswith("ok"), ended.stdout + ended.stderr
    assert ended.returncode == 0
