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


def choose_order(rest_url: str) -> dict[str, str] | None:
    """1 SOL for USDC, or for the first token that a pool of another registry pays for SOL; None where none does.

    Raises FirstOrderError.
    """
    tokens = _get(f"{rest_url}/tokens")["tokens"]
    others = [token["symbol"] or token["mint"] for token in tokens if token["symbol"] != "SOL"]
    if len(others) == len(tokens):
        return None
    for token in sorted(others, key=lambda name: name != ORDER["tokenOut"]):
        answer = _get(f"{rest_url}/quotes?tokenIn=SOL&tokenOut={token}&amount={ORDER['amount']}")
        if "amountOut" in answer:
            return ORDER | {"tokenOut": token}
    return None


def follow_first_order(
    rest_url: str, report: Callable[[str], None], order: dict[str, str] | None = None
) -> dict[str, Any]:
    """Post `order` (or ORDER) and `report` each of its statuses with the time since.

    Returns the answer to the post and the confirmed status as one. Raises FirstOrderError.
    """
    started = time.monotonic()
    order = order or ORDER
    accepted = _post(f"{rest_url}/orders/execute", order)
    report(f"order {accepted['orderId']}: {order['amount']} {order['tokenIn']} for {order['tokenOut']}, accepted")
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


def _get(url: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = urllib3.request("GET", url, timeout=_PATIENCE_SECONDS, retries=False).json()
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise FirstOrderError(f"GET {url}: {error}") from error
    if answer.get("status", 0) >= 500:
        raise FirstOrderError(f"GET {url}: {answer.get('detail')}")
    return answer


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
