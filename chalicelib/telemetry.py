"""How the log and the metrics leave a function: one JSON object a line on stderr, secrets never among its fields.

What clients and nodes said stands in it as escaped ASCII: no line break, terminal code or direction mark of theirs can
forge a line or hide one.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools import Logger

from chalicelib import log
from chalicelib.aws import cloudwatch_metrics
from chalicelib.correlation import correlation_id_of


def one_line(record: Any) -> str:
    """A log record as one line of printable ASCII. What JSON has no form for is written as its `str`."""
    text = json.dumps(record, default=str, separators=(",", ":"), ensure_ascii=True)
    return text.replace("\x7f", "\\u007f")


# Sets up the logger of log.py, which is of the same name.
logger = Logger(service=log.NAME, stream=sys.stderr, utc=True, log_uncaught_exceptions=False, json_serializer=one_line)

# Whatever the root's level is (Lambda sets it from the function's logging configuration), these stay quiet: at DEBUG
# botocore writes down whole requests, signed transactions among them, and urllib3 the paths of URLs, which hold
# providers' keys; urllib3 does so even in a warning.
for _library in ("boto3", "botocore", "s3transfer"):
    logging.getLogger(_library).setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


def correlation_id() -> str:
    """The id of the request that is being served; empty where none is."""
    return str(log.carried("correlation_id") or "")


@contextmanager
def invocation(event: Any) -> Iterator[None]:
    """What all log lines of one invocation carry, and none of the next; its metrics leave with its end.

    `event` is Chalice's, of any kind. The line at the beginning is always there: the emulator waits 50 ms for one.
    """
    with log.context(**_keys(event)):
        log.logger.info("invoked", event=type(event).__name__)
        started = time.monotonic()
        try:
            yield
        finally:
            cloudwatch_metrics.flush()
            log.logger.debug("done", ms=int((time.monotonic() - started) * 1000))


def _keys(event: Any) -> dict[str, str]:
    lambda_context = getattr(event, "lambda_context", None) or getattr(event, "context", None)
    invocation_id = getattr(lambda_context, "aws_request_id", None)
    keys = {"function": getattr(lambda_context, "function_name", None), "invocation": invocation_id}
    if hasattr(event, "headers"):  # a request
        keys["correlation_id"] = correlation_id_of(event.headers, event.context, invocation_id or "")
    return {name: value for name, value in keys.items() if isinstance(value, str) and value}
