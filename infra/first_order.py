"""Sends one real market order to a running stack and shows its life on the WebSocket, as a client would."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}

_PATIENCE_SECONDS = 60
# What a status may bring along, in the order in which it is shown.
_SHOWN = ("dexUsed", "quotedOut", "minOut", "amountOut", "executedPrice", "txHash", "retryInMs", "errorCode", "error")


class FirstOrderError(Exception):
    """The order wasn't accepted, didn't reach an end in time, or failed; the text says which."""


def follow_first_order(rest_url: str, report: Callable[[str], None]) -> dict[str, Any]:
    """Post ORDER and `report` each of its statuses with the time since; returns the answer and the confirmed status.

    Raises FirstOrderError.
    """
    started = time.monotonic()
    accepted = _post(f"{rest_url}/orders/execute", ORDER)
    report(f"order {accepted['orderId']}: {ORDER['amount']} {ORDER['tokenIn']} for {ORDER['tokenOut']}, accepted")
    shown: dict[str, Any] = {}
    for status in _statuses(accepted["wsUrl"], started + _PATIENCE_SECONDS):
        new = {name: status[name] for name in _SHOWN if status.get(name) not in (None, shown.get(name))}
        details = "  ".join(f"{name} {value}" for name, value in new.items())
        shown |= new
        report(f"  +{time.monotonic() - started:.3f} s  {status['status']:<9}  {details}".rstrip())
        if status["status"] == "confirmed":
            return accepted | status
        if status["status"] == "cancelled" or (status["status"] == "failed" and status.get("terminal", True)):
            raise FirstOrderError(f"the order {status['status']}: {status.get('error', 'no reason given')}")
    raise FirstOrderError("the WebSocket was closed before the order had ended")


def _post(url: str, body: dict[str, str]) -> dict[str, Any]:
    try:
        response = urllib3.request("POST", url, json=body, timeout=_PATIENCE_SECONDS, retries=False)
    except urllib3.exceptions.HTTPError as error:
        raise FirstOrderError(f"POST {url}: {error}") from error
    if response.status != 202:
        raise FirstOrderError(f"POST {url}: {response.status} {response.data.decode(errors='replace')}")
    accepted: dict[str, Any] = response.json()
    return accepted


def _statuses(url: str, deadline: float) -> Iterator[dict[str, Any]]:
    try:
        with connect(url, open_timeout=_PATIENCE_SECONDS) as websocket:
            while (left := deadline - time.monotonic()) > 0:
                message = json.loads(websocket.recv(timeout=left))
                if message.get("type") == "status":
                    yield message
    except TimeoutError as error:
        raise FirstOrderError(f"the order has no end after {_PATIENCE_SECONDS} s") from error
    except (OSError, WebSocketException) as error:
        raise FirstOrderError(f"the WebSocket {url} failed: {error}") from error
    raise FirstOrderError(f"the order has no end after {_PATIENCE_SECONDS} s")
