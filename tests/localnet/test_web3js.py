"""@solana/web3.js against the localnet, where Node and the package are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from testing.localnet import Localnet

SCRIPT = Path(__file__).with_name("web3js.cjs")
PACKAGES = Path(__file__).resolve().parents[2] / "testing" / "sdk"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.skipif(
    not (PACKAGES / "node_modules" / "@solana" / "web3.js").is_dir(),
    reason="npm packages are not installed: run npm ci in testing/sdk",
)
def test_its_users_can_fund_send_confirm_and_look_up(localnet: Localnet) -> None:
    ended = subprocess.run(
        ["node", str(SCRIPT), localnet.url, str(PACKAGES)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.stdout.strip() == "ok", ended.stderr
