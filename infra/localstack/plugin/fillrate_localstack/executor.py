"""LocalStack's functions as child processes of this machine, one for each of its execution environments."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

from localstack import config
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import LambdaRuntimeException, RuntimeExecutor

# The Python that the functions are packaged for, and where their logs go.
PYTHON_VARIABLE = "FILLRATE_FUNCTION_PYTHON"
LOGS_VARIABLE = "FILLRATE_FUNCTION_LOGS"
_PROCESS = Path(__file__).with_name("function_process.py")
_LOOPBACK = "127.0.0.1"
# What Lambda returns of an invocation's log at most: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
_LOG_TAIL = 4_096
_OVER_TIME_SECONDS = 1.0


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """Chosen by LAMBDA_RUNTIME_EXECUTOR=process."""

    name = "process"

    def load(self, *_: object, **__: object) -> type[RuntimeExecutor]:
        return ProcessExecutor


class ProcessExecutor(RuntimeExecutor):
    def __init__(self, id: str, function_version: FunctionVersion) -> None:
        super().__init__(id, function_version)
        logs = Path(os.environ[LOGS_VARIABLE])
        logs.mkdir(parents=True, exist_ok=True)
        self._log = logs / f"{function_version.id.function_name}-{id}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def start(self, env_vars: dict[str, str]) -> None:
        """Returns once the function's module is imported. Raises LambdaRuntimeException with the log if it can't be."""
        code = str(self.function_version.config.code.get_unzipped_code_location())
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": os.environ["HOME"], "PYTHONUNBUFFERED": "1"}
        environment |= {name: str(value) for name, value in env_vars.items()} | {"LAMBDA_TASK_ROOT": code}
        del environment["TZ"]  # `:UTC` is a file's name, which there is in Lambda's image alone
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        command = [os.environ[PYTHON_VARIABLE], str(_PROCESS), str(theirs_in), str(theirs_out)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=code,
                pass_fds=(theirs_in, theirs_out),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        os.close(theirs_in)
        os.close(theirs_out)
        self._invocations = os.fdopen(ours_out, "w", buffering=1)
        self._answers = os.fdopen(ours_in)
        if not self._answers.readline():
            raise LambdaRuntimeException(f"the function can't be started:\n{self.get_logs()[-_LOG_TAIL:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        request_id, timeout_seconds = payload["invoke-id"], self.function_version.config.timeout
        asked = {
            "requestId": request_id,
            "arn": payload["invoked-function-arn"],
            "payload": payload["payload"] or "{}",
            "timeoutSeconds": timeout_seconds,
        }
        with self._one_at_a_time:
            line = self._answer(asked, timeout_seconds)
        logs = self.get_logs()[-_LOG_TAIL:]
        if not line:
            told = json.dumps({"errorMessage": f"{request_id} Task timed out after {timeout_seconds}.00 seconds"})
            return InvocationResult(request_id, told.encode(), True, logs)
        answer = json.loads(line)
        return InvocationResult(request_id, answer["payload"].encode(), answer["isError"], logs)

    def _answer(self, asked: dict[str, object], timeout_seconds: float) -> str:
        """Empty where the process ended, by itself or because its time was over."""
        assert self._process is not None, "it is started first"
        overdue = threading.Timer(timeout_seconds + _OVER_TIME_SECONDS, self._process.kill)
        overdue.daemon = True
        overdue.start()
        try:
            print(json.dumps(asked), file=self._invocations)
            return self._answers.readline()
        except BrokenPipeError:
            return ""
        finally:
            overdue.cancel()

    def get_address(self) -> str:
        return _LOOPBACK

    def get_endpoint_from_executor(self) -> str:
        return _LOOPBACK

    def get_runtime_endpoint(self) -> str:
        return f"http://{_LOOPBACK}:{config.GATEWAY_LISTEN[0].port}/_localstack_lambda/{self.id}"

    def get_logs(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """The code's folder is LocalStack's own, which it removes itself."""
