"""The process that a function runs in on LocalStack's core: an answer for each invocation, whatever it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.project import PROJECT

PROGRAM = PROJECT / "infra" / "localstack" / "plugin" / "fillrate_localstack" / "function_process.py"
FUNCTION = """
def handler(event, context):
    print("printed")
    if "fail" in event:
        raise ValueError(event["fail"])
    return {"event": event, "id": context.aws_request_id, "has_time": context.get_remaining_time_in_millis() > 1_000}
"""
Invoke = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def invoke(tmp_path: Path) -> Iterator[Invoke]:
    """Invokes the function in its process, which has said that it is ready; the payload comes back parsed."""
    (tmp_path / "app.py").write_text(FUNCTION)
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    environment = {"LAMBDA_TASK_ROOT": str(tmp_path), "_HANDLER": "app.handler", "PATH": os.defpath}
    names = ("FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE", "LOG_GROUP_NAME", "LOG_STREAM_NAME")
    environment |= {f"AWS_LAMBDA_{name}": name for name in names}
    process = subprocess.Popen(
        [sys.executable, PROGRAM, str(theirs_in), str(theirs_out)],
        env=environment,
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    with os.fdopen(ours_out, "w", buffering=1) as invocations, os.fdopen(ours_in) as answers:
        assert answers.readline() == "ready\n"

        def call(event: dict[str, Any]) -> dict[str, Any]:
            asked = {"requestId": "request-1", "arn": "arn", "payload": json.dumps(event), "timeoutSeconds": 20}
            print(json.dumps(asked), file=invocations)
            answer: dict[str, Any] = json.loads(answers.readline())
            return answer | {"payload": json.loads(answer["payload"])}

        yield call
    assert process.wait() == 0, "it ends where nothing more is asked"


def test_each_invocation_is_answered_with_its_result_and_not_with_what_is_printed(invoke: Invoke) -> None:
    for number in range(3):
        event = {"number": number}
        told = {"event": event, "id": "request-1", "has_time": True}
        assert invoke(event) == {"payload": told, "isError": False}


def test_an_error_is_the_invocations_own_and_the_next_one_is_answered(invoke: Invoke) -> None:
    failed = {"errorMessage": "no", "errorType": "ValueError"}
    assert invoke({"fail": "no"}) == {"payload": failed, "isError": True}
    assert invoke({})["isError"] is False
