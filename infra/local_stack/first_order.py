"""Sends one real market order to a running stack and shows its life on the WebSocket, by the client that users have."""

from collections.abc import Callable
from typing import Any

from fillrate import CannotExecute, Fillrate, FillrateError, Status, StatusEvent

ORDER = {"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": "1"}

# The local stage needs none, and another stage's key in the environment must not be sent to it.
_NO_KEY = ""

_PATIENCE_SECONDS = 60
# What a status may bring along, in the order in which it is shown.
_SHOWN = ("dexUsed", "quotedOut", "minOut", "amountOut", "executedPrice", "txHash", "retryInMs", "errorCode", "error")


class FirstOrderError(Exception):
    """The order wasn't accepted, didn't reach an end in time, or failed; the text says which."""


def choose_order(rest_url: str) -> dict[str, str] | None:
    """1 SOL for USDC, or for the first token that a pool of another registry pays for SOL; None where none does.

    Raises FirstOrderError.
    """
    try:
        with Fillrate(rest_url, _NO_KEY) as fillrate:
            tokens = fillrate.tokens()
            others = [token.symbol or token.mint for token in tokens if token.symbol != "SOL"]
            if len(others) == len(tokens):
                return None
            for token in sorted(others, key=lambda name: name != ORDER["tokenOut"]):
                if _is_quoted(fillrate, token):
                    return ORDER | {"tokenOut": token}
    except FillrateError as error:
        raise FirstOrderError(str(error)) from error
    return None


def follow_first_order(
    rest_url: str, report: Callable[[str], None], order: dict[str, str] | None = None
) -> dict[str, Any]:
    """Post `order` (or ORDER) and `report` each of its statuses with the time since it was accepted.

    Returns the answer to the post and the confirmed status as one. Raises FirstOrderError.
    """
    order = order or ORDER
    try:
        with Fillrate(rest_url, _NO_KEY) as fillrate:
            accepted = fillrate.execute(order["tokenIn"], order["tokenOut"], order["amount"])
            report(f"order {accepted.order_id}: {order['amount']} {order['tokenIn']} for {order['tokenOut']}, accepted")
            shown: dict[str, Any] = {}
            for event in fillrate.follow(accepted, timeout=_PATIENCE_SECONDS):
                status = event.to_json()
                new = {name: status[name] for name in _SHOWN if status.get(name) not in (None, shown.get(name))}
                shown |= new
                since = (event.at - accepted.created_at).total_seconds()
                report(f"  +{since:.3f} s  {event.status:<9}  {_in_words(new)}".rstrip())
                if event.is_terminal:
                    return accepted.to_json() | _confirmed(event)
    except FillrateError as error:
        raise FirstOrderError(str(error)) from error
    raise AssertionError("a follower ends with a terminal status, or an error")


def _is_quoted(fillrate: Fillrate, token: str) -> bool:
    try:
        fillrate.quote("SOL", token, ORDER["amount"])
    except CannotExecute:
        return False
    return True


def _in_words(fields: dict[str, Any]) -> str:
    return "  ".join(f"{name} {value}" for name, value in fields.items())


def _confirmed(event: StatusEvent) -> dict[str, Any]:
    if event.status is not Status.CONFIRMED:
        raise FirstOrderError(f"the order {event.status}: {event.error or 'no reason given'}")
    return event.to_json()
