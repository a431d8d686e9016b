"""A localnet in a process of its own, for tests and scripts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any, Self

import urllib3

from infra.project import PROJECT

_STOP_SECONDS = 10
_CALL_SECONDS = 30.0
_READY = "localnet: listening on "


class LocalnetError(Exception):
    """The localnet did not start, or answered a call with an error; `code` is then the JSON-RPC one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class Localnet:
    """A context manager; `url` is the JSON-RPC's and `ws_url` the WebSocket's, on ports that were free.

    Example:
        with Localnet("--slot-ms", "20", "--no-traders") as chain:
            chain.call("getSlot", {"commitment": "processed"})
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._http = urllib3.PoolManager(maxsize=4, retries=False)
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def ws_url(self) -> str:
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return f"ws://{host}:{int(port) + 1}"

    def start(self) -> None:
        """Returns when it serves. Raises LocalnetError with what it said where it does not come up."""
        with tempfile.TemporaryFile("w+") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.localnet", "--rpc-port", "0", *self._arguments],
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            ready = self._process.stdout.readline() if self._process.stdout else ""
            if not ready.startswith(_READY):
                self.stop()
                errors.seek(0)
                raise LocalnetError(f"the localnet did not start: {errors.read().strip()}")
        self.url = ready.removeprefix(_READY).strip()

    def stop(self) -> int | None:
        """End it as SIGTERM ends it; its exit code. None where it does not run."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(_STOP_SECONDS)
        finally:
            if process.stdout:
                process.stdout.close()
            self._http.clear()

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def call(self, method: str, *params: Any) -> Any:
        """The result of one JSON-RPC call. Raises LocalnetError, also for an HTTP status that is not 200."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        headers = {"content-type": "application/json"}
        try:
            response = self._http.request("POST", self.url, body=body, headers=headers, timeout=_CALL_SECONDS)
        except urllib3.exceptions.HTTPError as error:
            raise LocalnetError(f"no answer: {error}") from None
        if response.status != 200:
            raise LocalnetError(f"HTTP {response.status}", response.status)
        answer = response.json()
        if "error" in answer:
            raise LocalnetError(answer["error"]["message"], answer["error"]["code"])
        return answer["result"]
