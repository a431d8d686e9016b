"""Sends dead letters back after an outage, with the names and addresses that the worker itself has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from operations.stacks import worker_environment
from operations.target import Target

if TYPE_CHECKING:
    from chalicelib.orders.redrive import Redriven

LIMIT = 1000


def redrive(target: Target, expires_in_ms: int | None = None) -> list[Redriven]:
    """Send back what the stage's dead-letter queue holds; returns each dead letter with what became of it.

    `expires_in_ms`: how long from now orders are good for whose deadline was the default; None keeps each one's own.

    Raises NoStage, and botocore's errors. This process has the worker's environment afterwards.
    """
    os.environ.update(worker_environment(target))
    os.environ["LOG_LEVEL"] = "WARNING"  # the operator is told by what is returned, and not by the worker's log
    os.environ["AWS_DEFAULT_REGION"] = target.region
    if target.endpoint_url:
        os.environ.update({"AWS_ENDPOINT_URL": target.endpoint_url, **target.credentials.variables})
    from chalicelib import composition  # reads that environment

    return composition.redrive().run(LIMIT, expires_in_ms)
