"""Bounds what MiniStack keeps while it runs. As it is, a stack that trades grows for as long as it is up.

A stream's records stay for a day, both images of each: some 90 KB for an order. Each invocation of a function makes a
log stream of its own, and none ever goes. Here a record stays for five minutes, which no reader of ours is ever behind,
and a log group keeps the streams of its last invocations; `.local/logs` has the same lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STREAM_SECONDS = 5 * 60
LOG_STREAMS = 2_000

Emit = Callable[..., None]


def bound(dynamodb: Any, lambda_service: Any, logs: Any) -> None:
    """Change MiniStack's modules of these services in place."""
    dynamodb._STREAM_RETENTION_SECONDS = STREAM_SECONDS
    lambda_service._emit_lambda_logs = bounded(lambda_service._emit_lambda_logs, logs._log_groups)


def bounded(emit: Emit, groups: Any, most: int = LOG_STREAMS) -> Emit:
    """Stands in for `emit`, which logs one invocation: afterwards its function's group has `most` streams at most."""

    def bounded_emit(function: dict[str, Any], *arguments: Any, **named: Any) -> None:
        emit(function, *arguments, **named)
        group = groups.get(_group_of(function.get("config") or function))
        if group is None:
            return
        streams = group["streams"]
        for oldest in list(streams)[: len(streams) - most] if len(streams) > most else ():
            streams.pop(oldest, None)

    return bounded_emit


def _group_of(config: dict[str, Any]) -> str:
    logging = config.get("LoggingConfig") or {}
    return logging.get("LogGroup") or f"/aws/lambda/{config.get('FunctionName', 'unknown')}"
