"""In a shell that is set up for another AWS and other networks: the local stack trades, and its kill switch works."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from fillrate.cli.main import run

import infra.halt

NOWHERE = "http://127.0.0.1:9"
SHELLS: dict[str, dict[str, str]] = {
    "another region": {"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1"},
    "a profile that isn't there": {"AWS_PROFILE": "no-such-profile", "AWS_DEFAULT_PROFILE": "no-such-profile"},
    "another endpoint": {"AWS_ENDPOINT_URL": NOWHERE, "AWS_ENDPOINT_URL_DYNAMODB": NOWHERE},
    "another account": {
        "AWS_ACCESS_KEY_ID": "AKIATHEIROWN",
        "AWS_SECRET_ACCESS_KEY": "their own",
        "AWS_SESSION_TOKEN": "their own",
    },
    "a proxy": {"HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE, "http_proxy": NOWHERE, "NO_PROXY": "", "no_proxy": ""},
    "a SOCKS proxy": {"ALL_PROXY": "socks5://127.0.0.1:9", "all_proxy": "socks5h://127.0.0.1:9"},
    "another chain and wallet": {"SOLANA_RPC_URL": NOWHERE, "WALLET": "kms:theirs", "STAGE": "prod"},
}
SHELLS["all of it"] = {name: value for shell in SHELLS.values() for name, value in shell.items()}

Command = Callable[..., str]


@pytest.fixture
def checkout(stack: dict[str, str], tmp_path: Path) -> Path:
    """Where `make up` runs the stack, as far as its tools can tell."""
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(stack))
    return tmp_path


@pytest.fixture(params=SHELLS)
def command(request: pytest.FixtureRequest, checkout: Path) -> Iterator[Command]:
    shell = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | SHELLS[request.param]

    def call(*words: str) -> str:
        out, err = StringIO(), StringIO()
        with chdir(checkout), patch.dict(os.environ, shell, clear=True), redirect_stdout(out), redirect_stderr(err):
            code = run(list(words))
        assert code == 0, (words, err.getvalue(), out.getvalue())
        return out.getvalue()

    yield call
    call("resume")


def test_an_order_trades_and_the_kill_switch_works_in_whatever_shell(command: Command) -> None:
    assert "sold 0.25 SOL" in command("sell", "SOL", "0.25", "--for", "USDC")
    assert "halted since" in command("halt", "--reason", "a drill")
    assert "a drill" in command(*infra.halt.words(["status"]))
    assert "not halted" in command("resume")
