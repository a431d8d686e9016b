"""The structured logger: one JSON object a line on stderr, secrets never among its fields."""

from __future__ import annotations

import sys

from aws_lambda_powertools import Logger

logger = Logger(service="fillrate", stream=sys.stderr, utc=True, log_uncaught_exceptions=False)
