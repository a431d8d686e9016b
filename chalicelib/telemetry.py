"""The structured logger: one JSON object a line on stderr, secrets never among its fields.

What clients and nodes said stands in it as escaped ASCII: no line break, terminal code or direction mark of theirs can
forge a line or hide one.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from aws_lambda_powertools import Logger


def one_line(record: Any) -> str:
    """A log record as one line of printable ASCII. What JSON has no form for is written as its `str`."""
    text = json.dumps(record, default=str, separators=(",", ":"), ensure_ascii=True)
    return text.replace("\x7f", "\\u007f")


logger = Logger(
    service="fillrate", stream=sys.stderr, utc=True, log_uncaught_exceptions=False, json_serializer=one_line
)

# Whatever the root's level is (Lambda sets it from the function's logging configuration), these stay quiet: at DEBUG
# botocore writes down whole requests, signed transactions among them, and urllib3 the paths of URLs, which hold
# providers' keys; urllib3 does so even in a warning.
for _library in ("boto3", "botocore", "s3transfer"):
    logging.getLogger(_library).setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.CRITICAL)
