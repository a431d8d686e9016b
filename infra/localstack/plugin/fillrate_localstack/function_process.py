"""The process that a function runs in: imports it, says `ready`, then answers one invocation after the other.

Run by the Python that the function is packaged for, with two file descriptors: where invocations come from and where
answers go, a JSON object a line each. What the function prints goes to its log.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from typing import Any


class Context:
    """What a handler is told of its invocation: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    identity = None
    client_context = None

    def __init__(self, request_id: str, arn: str, timeout_seconds: float) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = arn
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._ends_at = time.monotonic() + timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int(1_000 * (self._ends_at - time.monotonic())))


def answer_of(handler: Any, invocation: dict[str, Any]) -> dict[str, Any]:
    """The handler's result as JSON text, or its error in Lambda's form."""
    context = Context(invocation["requestId"], invocation["arn"], invocation["timeoutSeconds"])
    try:
        return {"payload": json.dumps(handler(json.loads(invocation["payload"]), context)), "isError": False}
    except Exception as error:  # noqa: BLE001 - whatever a function raises is its invocation's error, not the process's
        traceback.print_exc()
        told = {"errorMessage": str(error), "errorType": type(error).__name__}
        return {"payload": json.dumps(told), "isError": True}


def main() -> None:
    invocations, answers = os.fdopen(int(sys.argv[1])), os.fdopen(int(sys.argv[2]), "w", buffering=1)
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    module, _, name = os.environ["_HANDLER"].rpartition(".")
    handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    print("ready", file=answers)
    for line in invocations:
        print(json.dumps(answer_of(handler, json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
