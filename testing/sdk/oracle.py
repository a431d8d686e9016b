"""The official SDKs' quotes, from one Node process that runs as long as it is asked. oracle.mjs is its other half."""

from __future__ import annotations

import base64
import json
import select
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Any, Self

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import CLOCK_SYSVAR, Account, AccountMap, ChainClock

FOLDER = Path(__file__).parent
SDKS = ("@raydium-io/raydium-sdk-v2", "@meteora-ag/dlmm", "@meteora-ag/cp-amm-sdk", "@meteora-ag/dynamic-amm-sdk")
OLDEST_NODE = 20
ANSWER_TIMEOUT_SECONDS = 60
# slot, epoch_start_timestamp, epoch, leader_schedule_epoch, unix_timestamp: as ChainClock.decode reads it
_CLOCK = Struct("<QqQQq")
_SYSVAR_OWNER = "Sysvar1111111111111111111111111111111111111"


class OracleFailedError(RuntimeError):
    """The SDK crashed on a request, or did not answer in time."""


def what_is_missing() -> str | None:
    """Why the SDKs can't be asked on this machine, and how to fix it; None where they can."""
    install = "`make npm-tools`"
    if shutil.which("node") is None:
        return f"the official SDKs need Node {OLDEST_NODE} or later: install it, then {install}"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        return f"the official SDKs need Node {OLDEST_NODE} or later, not {version}"
    if not (FOLDER / "node_modules").is_dir():
        return f"the official SDKs are not installed: {install}"
    return None


def sdk_versions() -> str:
    """Names and versions of the SDKs, as package.json pins them."""
    pinned: dict[str, str] = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    return ", ".join(f"{name} {pinned[name]}" for name in SDKS)


class SdkOracle:
    """Asks the SDKs; `venue` is one of oracle.mjs's. Used in a `with` block, which ends the process."""

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            ["node", "oracle.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def quotes(
        self,
        venue: str,
        pool: Pubkey,
        accounts: AccountMap,
        clock: ChainClock,
        swaps: Sequence[tuple[Pubkey, int]],
    ) -> list[dict[str, Any]]:
        """What the SDK says to each of `swaps` (mint in, amount in); amounts are decimal strings. See oracle.mjs."""
        answer = self._ask(_request("quote", venue, pool, accounts, clock, swaps))
        answers: list[dict[str, Any]] = answer["quotes"]
        return answers

    def nanoseconds(
        self,
        venue: str,
        pool: Pubkey,
        accounts: AccountMap,
        clock: ChainClock,
        swap: tuple[Pubkey, int],
        arrays: Sequence[Pubkey],
        milliseconds: int,
    ) -> tuple[int, float, float]:
        """The quote's output, and what it takes from decoded accounts and from their bytes.

        Each is measured for about `milliseconds`. Of a DLMM pool the SDK is given just the bin `arrays` of this swap.
        """
        request = _request("time", venue, pool, accounts, clock, [swap])
        request |= {"arrays": [str(array) for array in arrays], "milliseconds": milliseconds}
        answer = self._ask(request)
        return int(answer["amountOut"]), float(answer["decoded"]), float(answer["fromAccounts"])

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise OracleFailedError(self._last_words()) from None
        if not select.select([process.stdout], [], [], ANSWER_TIMEOUT_SECONDS)[0]:
            raise OracleFailedError(f"the SDK gave no answer in {ANSWER_TIMEOUT_SECONDS} s")
        line = process.stdout.readline()
        if not line:
            raise OracleFailedError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "failure" in answer:
            raise OracleFailedError(answer["failure"])
        return answer

    def _last_words(self) -> str:
        self._log.seek(0)
        return f"the Node process ended: {self._log.read().decode(errors='replace')}"


def _request(
    action: str,
    venue: str,
    pool: Pubkey,
    accounts: AccountMap,
    clock: ChainClock,
    swaps: Sequence[tuple[Pubkey, int]],
) -> dict[str, Any]:
    return {
        "action": action,
        "venue": venue,
        "pool": str(pool),
        "accounts": {str(address): _account(account) for address, account in accounts.items()}
        | {str(CLOCK_SYSVAR): _clock_account(clock)},
        "clock": {"slot": clock.slot, "epoch": clock.epoch, "unixTimestamp": clock.unix_timestamp},
        "swaps": [{"mintIn": str(mint), "amountIn": str(amount)} for mint, amount in swaps],
    }


def _account(account: Account | None) -> dict[str, Any] | None:
    if account is None:
        return None
    data = base64.b64encode(account.data).decode()
    return {"owner": str(account.owner), "lamports": account.lamports, "data": data}


def _clock_account(clock: ChainClock) -> dict[str, Any]:
    data = _CLOCK.pack(clock.slot, 0, clock.epoch, clock.epoch, clock.unix_timestamp)
    return {"owner": _SYSVAR_OWNER, "lamports": 1, "data": base64.b64encode(data).decode()}
