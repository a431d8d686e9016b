"""MiniStack as Fillrate runs it: behind the front, with credentials of its own, and with its workers corrected.

What is corrected is pinned: another version of MiniStack, or another text of what is replaced or relied upon, is
refused instead of being corrected wrongly.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import secrets
import sys
from collections.abc import Collection
from importlib import metadata
from typing import Any

from infra.local_stack.emulator import batch_rights, retention
from infra.local_stack.emulator.code_folders import sharing_zipfile
from infra.local_stack.emulator.front import Front
from infra.local_stack.emulator.persistence import StateKeeper, state_directory
from infra.local_stack.emulator.workers import WorkerPool, corrected
from operations.target import EmulatorCredentials

VERSION = "1.5.33"
# SHA-256 of the source of each function that is replaced or whose workings are relied upon.
PINNED = {
    "app.app": "ab1297bd6cd59811b347cef576050a6d4d632cb33b6a484dd67a4745c1f2ac95",
    "app.main": "aae886212adbdc544e4d253fa9ee5db1b6c690ef85b8421df796fbdc095ed4ee",
    "core.iam_actions.extract_iam_action": "ec476b92d969822b69c5b51b7c86cbc85794d3126a2f4c15f70f5444851cd5a6",
    "core.iam_evaluator.is_root_access_key": "e6ae3b63335593c0d7f112cdb3b505fef87e49f893e448738bef66d1d5064f8f",
    "core.lambda_runtime.Worker": "a0bd1819a7040c1ee8674f18ef1a48c68ed88f66219cbb09547506ef12146215",
    "core.lambda_runtime.acquire_worker": "5017d144adb5b983050914401f482f2ad1332f4564c96903c20ab7e4defad7da",
    "core.lambda_runtime.release_worker": "25d5dd7d42b6e30ce6843a33cf159b418d185f46bfa0a76a64268ea83e203cdc",
    "core.lambda_runtime.reap_idle_workers": "d0e5aa7c2b5902ae662449a3a4e76a8ec6e691de4431ecc10949728fd90ad05a",
    "core.lambda_runtime.invalidate_worker": "1be5d7f769f5c6086d18043c5cc342193ff87299c41a9d40078ccd1c1acd9eec",
    "core.lambda_runtime.kill_workers": "56a6df63f9bd485916cffa3c374db7410afa2aff70fb5668372e054c0b0b1836",
    "core.lambda_runtime.execution_credentials": "cffaadc4f396f6e44a2490ca7e3e49fafba0d30ee1a22d6f991a995bc9078463",
    "services.lambda_svc._execute_function_warm": "62b9218bef5b948a23c3269d6fb7260f88dda21cb88a1962ab72e4dceac81153",
    "services.lambda_svc._emit_lambda_logs": "111efbf06968bb207427d25f6070f8048962a56385e2f7c62bb76b5f9d051720",
    "services.dynamodb._trim_stream_records": "43f62f181df024ec1f5b59cc997d94adcd32abdb05305283d9e7cc2aa1b781ec",
    "app._load_persisted_state": "03de3b870e8f811f8b97ae12f3e5e7c029923c155f75d512dbf913cb30f1b55c",
    "app._build_persistence_save_dict": "9a6393cc953d2f678892395011269f1f53d8be649619c8f6ce8dd3cb7b6c0dfd",
    "core.persistence.save_state": "58a9551109738f64a9a7c71d4abfb560a1a17894bbee96a260ee9226af5ac3cc",
    "core.persistence.load_state": "1796603c91a178d600ccf61d9ed5640f2a0f75dcaaeae5db53bb749824e4cb46",
    "core.persistence.save_all": "ea253a04fd05447b9a3b6807a6fca0772d2783f3ce482fd68897bd13445b7c4d",
    "services.dynamodb.handle_request": "1201f2ac993ce1a07339816d280e7b86da8395988b41f91ce72caade86e12406",
    "services.dynamodb.get_state": "ce90690a6033950f9aaac39a8225ef7ce8e55fe1c3abc80e2df51e1098e7f9f3",
    "services.dynamodb._restore_state": "a5aba16053a2e1da4fc46b0983116427ba867fd34eaa391a3af7bf259509a130",
    "services.dynamodb._set_item": "4e78ad492132cdbad7bd356b0fe962214d886415b39f88bdfc05d56263d99ba9",
    "services.dynamodb._remove_item": "5cce50c99688dab8a5219d2e4bbcd06fc3b74c932d6aa6b47db5afc614203a1e",
    "services.sqs.handle_request": "a838f9d3e2667278cb5d57e6f04c9f43c720857ac5fe7b993de44dc1994501b7",
    "services.sqs.get_state": "759c348b6e8414071aee771475f0d487e92d2b90b76d821bd99275362108149a",
}


class UnknownEmulatorError(Exception):
    """The MiniStack that is installed isn't the one that the corrections are for; the text says in what."""


def check() -> None:
    """Raises UnknownEmulatorError."""
    installed = metadata.version("ministack")
    if installed != VERSION:
        raise UnknownEmulatorError(
            f"ministack {installed} is installed, and Fillrate corrects ministack {VERSION}: install what "
            "requirements-local.txt pins, or look through infra/local_stack/emulator again"
        )
    different = [name for name, text in sources().items() if PINNED[name] != _digest(text)]
    if different:
        raise UnknownEmulatorError(
            f"ministack {installed} differs from what Fillrate corrects in {', '.join(different)}: install it again"
        )


def sources() -> dict[str, str]:
    """The source of what is pinned, by its name."""
    from ministack import app
    from ministack.core import iam_actions, iam_evaluator, lambda_runtime, persistence
    from ministack.services import dynamodb, lambda_svc, sqs

    pinned: tuple[Any, ...] = (
        app.app,
        app.main,
        iam_actions.extract_iam_action,
        iam_evaluator.is_root_access_key,
        lambda_runtime.Worker,
        lambda_runtime.acquire_worker,
        lambda_runtime.release_worker,
        lambda_runtime.reap_idle_workers,
        lambda_runtime.invalidate_worker,
        lambda_runtime.kill_workers,
        lambda_runtime.execution_credentials,
        lambda_svc._execute_function_warm,
        lambda_svc._emit_lambda_logs,
        dynamodb._trim_stream_records,
        app._load_persisted_state,
        app._build_persistence_save_dict,
        persistence.save_state,
        persistence.load_state,
        persistence.save_all,
        dynamodb.handle_request,
        dynamodb.get_state,
        dynamodb._restore_state,
        dynamodb._set_item,
        dynamodb._remove_item,
        sqs.handle_request,
        sqs.get_state,
    )
    return {f"{one.__module__}.{one.__qualname__}".removeprefix("ministack."): inspect.getsource(one) for one in pinned}


def run(credentials: EmulatorCredentials, host_names: Collection[str] = ()) -> None:
    """Serve until SIGTERM; where and what, MiniStack reads from the environment. Raises UnknownEmulatorError."""
    check()
    # MiniStack takes its root's from here.
    os.environ["AWS_ACCESS_KEY_ID"] = credentials.access_key_id
    os.environ["AWS_SECRET_ACCESS_KEY"] = credentials.secret_access_key
    os.environ.pop("AWS_SESSION_TOKEN", None)
    from ministack import app

    _give_functions_credentials(credentials)
    correct_workers()
    correct_rights()
    bound_what_it_keeps()
    application = app.app
    directory = state_directory()
    if directory is not None:
        keeper = StateKeeper(directory)
        keeper.install()
        application = keeper.application(application)
    app.app = Front(application, credentials, verifies_signatures=app.AUTH, host_names=host_names)
    sys.argv[1:] = []
    app.main()


def correct_workers() -> None:
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    pool = WorkerPool(lambda_runtime)
    for module in (lambda_runtime, lambda_svc):
        module.acquire_worker, module.release_worker = pool.acquire, pool.release
    lambda_runtime.Worker.invoke = corrected(pool, lambda_runtime.Worker.invoke)
    lambda_runtime.zipfile = sharing_zipfile()


def correct_rights() -> None:
    from ministack.core import iam_actions

    batch_rights.correct(iam_actions)


def bound_what_it_keeps() -> None:
    from ministack.services import cloudwatch_logs, dynamodb, lambda_svc

    retention.bound(dynamodb, lambda_svc, cloudwatch_logs)


def _give_functions_credentials(root: EmulatorCredentials) -> None:
    """The front knows the root's; the roles' that MiniStack makes up, for AUTH=true, follow from names alone."""
    from ministack import app
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    of_a_role, unguessable = lambda_runtime.execution_credentials, secrets.token_hex(16)

    def execution_credentials(config: dict[str, Any]) -> dict[str, str]:
        if app.AUTH:
            # What comes before the last slash goes into the keys and nowhere else.
            return dict(of_a_role({**config, "Role": f"{unguessable}/{config.get('Role', '')}"}))
        return {
            "AWS_ACCESS_KEY_ID": root.access_key_id,
            "AWS_SECRET_ACCESS_KEY": root.secret_access_key,
            "AWS_SESSION_TOKEN": "",
        }

    for module in (lambda_runtime, lambda_svc):
        module.execution_credentials = execution_credentials


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
