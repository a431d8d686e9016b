"""The processes that the emulator runs functions in: real ones, of a small function, while starts fail."""

from __future__ import annotations

import io
import os
import signal
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.local_stack.emulator import ministack, workers
from infra.local_stack.emulator.workers import STARTS_AT_ONCE
from testing.client import eventually

Json = dict[str, Any]
# A start leaves its pid in `starting` and goes on when it is told to; a call says who runs it, and may fail or wait.
FUNCTION = """
import os, pathlib, time
place = pathlib.Path(os.environ["PLACE"])

def wait_for(name):
    while not (place / name).exists():
        time.sleep(0.01)

(place / "starting" / str(os.getpid())).touch()
wait_for("go")

def handler(event, context):
    (place / "called" / str(os.getpid())).touch()
    if "wait" in event:
        wait_for(event["wait"])
    if "fail" in event:
        raise ValueError(event["fail"])
    return os.getpid()
"""


def zipped(code: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        # Of no date: the same code is the same archive.
        archive.writestr(zipfile.ZipInfo("app.py"), code)
    return content.getvalue()


@dataclass
class Function:
    """One function of the emulator's, and a folder in which its processes leave marks."""

    service: Any
    runtime: Any
    place: Path
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(20))

    def __post_init__(self) -> None:
        for folder in ("starting", "called"):
            (self.place / folder).mkdir()
        config = {
            "FunctionName": "small",
            "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:small",
            "Runtime": "python3.11",
            "Handler": "app.handler",
            "Timeout": 30,
            "Environment": {"Variables": {"PLACE": str(self.place)}},
        }
        self._function = {"config": config, "code_zip": zipped(FUNCTION)}

    def deploy(self, code: str) -> None:
        """The same function of other code."""
        self.runtime.invalidate_worker("small", account="000000000000", region="us-east-1")
        self._function = {**self._function, "code_zip": zipped(code)}

    def call(self, **event: str) -> Future[Json]:
        return self.pool.submit(self.service._execute_function_warm, self._function, event, "request")

    def starting(self) -> set[int]:
        return self._marks("starting")

    def called(self) -> set[int]:
        return self._marks("called")

    def mark(self, name: str) -> None:
        (self.place / name).touch()

    def folders(self) -> list[Path]:
        return list(self.place.glob("ministack-lambda-small-*"))

    def code(self) -> list[Path]:
        return list(self.place.glob("ministack-code-*"))

    def _marks(self, folder: str) -> set[int]:
        return {int(mark.name) for mark in (self.place / folder).iterdir()}


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    for module in (lambda_runtime, lambda_svc):
        for name in ("acquire_worker", "release_worker"):
            monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(lambda_runtime.Worker, "invoke", lambda_runtime.Worker.invoke)
    monkeypatch.setattr(lambda_runtime, "zipfile", lambda_runtime.zipfile)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ministack.correct_workers()
    function = Function(lambda_svc, lambda_runtime, tmp_path)
    yield function
    for mark in ("go", "end"):
        function.mark(mark)
    function.pool.shutdown()
    lambda_runtime.reset()


def died(pids: set[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_few_processes_start_at_once_and_every_call_is_answered(function: Function) -> None:
    calls = [function.call() for _ in range(12)]
    eventually(lambda: len(function.starting()) == STARTS_AT_ONCE)
    function.mark("go")
    assert all("error" not in call.result() for call in calls)
    assert len(function.folders()) == len(function.starting())


def test_a_call_waits_for_a_short_one_to_be_over_and_starts_no_process(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FREE_SOON_SECONDS", 60.0)
    function.mark("go")
    first = function.call(wait="end")
    eventually(lambda: len(function.called()) == 1)
    calls = [function.call() for _ in range(5)]
    function.mark("end")
    assert {call.result()["body"] for call in [first, *calls]} == function.starting()
    assert len(function.starting()) == 1


def test_a_call_that_finds_only_long_ones_starts_a_process(function: Function) -> None:
    function.mark("go")
    long = function.call(wait="end")
    eventually(lambda: len(function.called()) == 1)
    assert "error" not in function.call().result()
    assert len(function.called()) == 2
    function.mark("end")
    assert "error" not in long.result()


def test_starts_that_are_killed_are_made_again_and_no_call_fails(function: Function) -> None:
    calls = [function.call() for _ in range(12)]
    eventually(lambda: len(function.starting()) == STARTS_AT_ONCE)
    killed = function.starting()
    died(killed)
    eventually(lambda: len(function.starting()) == 2 * STARTS_AT_ONCE)
    function.mark("go")
    answered = {call.result()["body"] for call in calls}
    assert answered <= function.starting() - killed


def test_a_worker_that_does_not_start_at_all_takes_no_other_with_it(function: Function) -> None:
    function.mark("go")
    busy = function.call(wait="end")
    eventually(lambda: bool(function.called()))
    (function.place / "go").unlink()
    hopeless = function.call()
    seen: set[int] = set(function.starting())
    while not hopeless.done():
        new = function.starting() - seen
        seen |= new
        died(new)
    assert hopeless.result()["error"]
    eventually(lambda: len(function.folders()) == 1)
    function.mark("end")
    assert {busy.result()["body"]} == function.called()
    assert function.call().result()["body"] == busy.result()["body"], "it goes on serving"


def test_a_process_that_ends_takes_its_code_with_it_and_the_next_call_has_a_new_one(function: Function) -> None:
    function.mark("go")
    failed = function.call(fail="on purpose").result()
    assert failed["error"]
    assert "on purpose" in failed["body"]["errorMessage"]
    assert function.folders() == []
    assert function.call().result()["body"] in function.starting()
    assert len(function.folders()) == 1


def test_workers_whose_code_was_replaced_answer_their_calls_and_are_ended(function: Function) -> None:
    """Also those of calls that were waiting for a place."""
    calls = [function.call() for _ in range(6)]
    eventually(lambda: len(function.starting()) == STARTS_AT_ONCE)
    function.runtime.invalidate_worker("small")
    eventually(lambda: len(function.starting()) == 2 * STARTS_AT_ONCE)
    function.mark("go")
    assert all("error" not in call.result() for call in calls)
    eventually(lambda: function.folders() == [])
    assert function.call().result()["body"] in function.starting()


def test_without_the_correction_one_failed_start_fails_the_others(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is corrected is there: if it isn't any more, the correction can go."""
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(function.place))
    calls = [function.call() for _ in range(6)]
    eventually(lambda: len(function.starting()) == len(calls))
    died({next(iter(function.starting()))})
    assert sum("error" in call.result() for call in calls) > 1


def test_the_code_lies_there_once_however_many_processes_run_it(function: Function) -> None:
    function.mark("go")
    calls = [function.call(wait="end") for _ in range(3)]
    eventually(lambda: len(function.called()) == 3)
    (code,) = function.code()
    assert {(folder / "code").resolve() for folder in function.folders()} == {code}
    assert (code / "app.py").read_text() == FUNCTION
    assert list(function.place.rglob("*.zip")) == []
    function.mark("end")
    assert all("error" not in call.result() for call in calls)


def test_code_that_was_replaced_goes_once_no_process_runs_it(function: Function) -> None:
    function.mark("go")
    assert "error" not in function.call().result()
    function.deploy(FUNCTION + "\n# another release\n")
    eventually(lambda: function.folders() == [])
    assert "error" not in function.call().result()
    (code,) = function.code()
    assert "another release" in (code / "app.py").read_text()


def test_code_whose_unpacking_was_interrupted_is_unpacked_again(function: Function) -> None:
    function.mark("go")
    assert "error" not in function.call().result()
    (code,) = function.code()
    function.deploy(FUNCTION)
    eventually(lambda: function.folders() == [])
    (code / "app.py").unlink()
    code.rename(code.with_suffix(".unfinished"))
    assert "error" not in function.call().result()
    assert (code / "app.py").read_text() == FUNCTION
