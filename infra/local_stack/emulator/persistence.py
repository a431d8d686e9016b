"""MiniStack's state over a kill. By itself it saves at its end alone, so that a kill takes back all since its start.

Here DynamoDB's items are kept by a journal, the queues are saved a second after each change, and all else whenever a
deploy asks for it: what only deploys change.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from infra.browser_requests import Scope
from infra.deployment.ministack_gaps import SAVE_PATH
from infra.local_stack.emulator.journal import Journal, Write
from infra.local_stack.restart import Restart

_log = logging.getLogger("persistence")

_QUEUES_SECONDS = 1.0
# A journal that outgrows what was saved, and this, is replaced by another saving.
_LONGEST_JOURNAL = 64 * 1024 * 1024
_TABLES = "dynamodb.json"

# What the request at hand has written so far; None where something is written for no request.
_request_writes: ContextVar[list[Write] | None] = ContextVar("writes", default=None)

Handler = Callable[..., Awaitable[tuple[int, dict[str, str], bytes]]]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


class StateKeeper:
    """Keeps MiniStack's state in `directory`. Call `install` once, before MiniStack serves."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._journal = Journal(directory)
        self._ended = directory / "ended"
        self._queues_are_due = False
        self._unreadable: list[str] = []

    def install(self) -> None:
        """Put it between MiniStack and its state."""
        from ministack import app
        from ministack.services import dynamodb, sqs

        self._set_item, self._remove_item = dynamodb._set_item, dynamodb._remove_item
        dynamodb._set_item, dynamodb._remove_item = self._set, self._remove
        dynamodb.handle_request = self._journaled(dynamodb.handle_request)
        sqs.handle_request = self._saving_queues(sqs.handle_request)
        self._load_state, app.load_state = app.load_state, self._load_or_note
        self._load_all, app._load_persisted_state = app._load_persisted_state, self._load
        self._save_all, app.save_all = app.save_all, self._save_at_the_end

    def application(self, application: Application) -> Application:
        """`application`, which answers SAVE_PATH too. Whoever gets through to it may."""

        async def saving(scope: Scope, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["path"] != SAVE_PATH:
                await application(scope, receive, send)
                return
            is_asked = scope["method"] == "POST"
            status = (204 if self.save() else 500) if is_asked else 405
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        return saving

    def save(self) -> bool:
        """Save everything, between two requests. False where that failed: the journal then goes on."""
        from ministack import app

        return self._save(app._build_persistence_save_dict())

    def _save(self, services: dict[str, Any]) -> bool:
        tables = self._directory / _TABLES
        before = tables.stat().st_mtime_ns if tables.exists() else None
        self._journal.begin_saving()
        self._save_all(services)
        # MiniStack logs what it can't save, and goes on
        if not tables.exists() or tables.stat().st_mtime_ns == before:
            return False
        for file in (*self._directory.glob("*.json"), self._directory):
            _bring_to_disk(file)
        self._journal.end_saving()
        return True

    def _save_at_the_end(self, services: dict[str, Any]) -> None:
        if self._save(services):
            self._ended.touch()

    # --- DynamoDB -------------------------------------------------------------------------------------------------

    def _set(self, table: dict[str, Any], partition_key: str, sort_key: str, item: dict[str, Any]) -> Any:
        former = self._set_item(table, partition_key, sort_key, item)
        self._note(table, partition_key, sort_key, item)
        return former

    def _remove(self, table: dict[str, Any], partition_key: str, sort_key: str) -> Any:
        former = self._remove_item(table, partition_key, sort_key)
        if former is not None:
            self._note(table, partition_key, sort_key, None)
        return former

    def _note(self, table: dict[str, Any], partition_key: str, sort_key: str, item: dict[str, Any] | None) -> None:
        write = Write(table["TableArn"], table["TableId"], partition_key, sort_key, item)
        pending = _request_writes.get()
        if pending is None:
            self._journal.append([write])  # of no request, such as the end of an item's time to live
        else:
            pending.append(write)

    def _journaled(self, handle_request: Handler) -> Handler:
        async def handle(*request: Any) -> tuple[int, dict[str, str], bytes]:
            writes: list[Write] = []
            token = _request_writes.set(writes)
            try:
                return await handle_request(*request)
            finally:
                _request_writes.reset(token)
                if writes:
                    self._journal.append(writes)
                    self._save_if_long()

        return handle

    def _save_if_long(self) -> None:
        tables = self._directory / _TABLES
        saved = tables.stat().st_size if tables.exists() else 0
        if self._journal.size > max(saved, _LONGEST_JOURNAL):
            self.save()

    # --- queues ---------------------------------------------------------------------------------------------------

    def _saving_queues(self, handle_request: Handler) -> Handler:
        async def handle(*request: Any) -> tuple[int, dict[str, str], bytes]:
            answer = await handle_request(*request)
            if not self._queues_are_due:
                self._queues_are_due = True
                asyncio.get_running_loop().call_later(_QUEUES_SECONDS, self._save_queues)
            return answer

        return handle

    def _save_queues(self) -> None:
        from ministack.core import persistence
        from ministack.services import sqs

        self._queues_are_due = False
        try:
            state = sqs.get_state()
        except RuntimeError:
            return  # another thread changed them meanwhile: the next request has them saved
        persistence.save_state("sqs", state)

    # --- the start ------------------------------------------------------------------------------------------------

    def _load_or_note(self, service: str) -> Any:
        state = self._load_state(service)
        file = self._directory / f"{service}.json"
        if state is None and file.exists():
            self._unreadable.append(service)
            file.replace(file.with_name(f"{file.name}.unreadable"))  # the next saving must not replace it
        return state

    def _load(self) -> None:
        was_ended = self._ended.exists()
        self._ended.unlink(missing_ok=True)
        self._load_all()
        writes = self._read_back()
        was_killed = writes > 0 and not was_ended
        if writes:
            self.save()
        if was_killed:
            _log.warning("MiniStack was killed: %d writes since its state was saved were read back", writes)
        Restart(was_killed, writes, tuple(self._unreadable)).write(self._directory)

    def _read_back(self) -> int:
        from ministack.services import dynamodb

        tables = {table["TableId"]: table for table in dynamodb._tables.all_values() if "TableId" in table}
        count = 0
        for write in self._journal.read():
            table = tables.get(write.table_id)
            if table is None:
                continue  # dropped since
            if write.item is None:
                self._remove_item(table, write.partition_key, write.sort_key)
            else:
                self._set_item(table, write.partition_key, write.sort_key, write.item)
            count += 1
        return count


def state_directory() -> Path | None:
    """Where MiniStack is told to keep its state; None where it isn't to."""
    return Path(os.environ["STATE_DIR"]) if os.environ.get("PERSIST_STATE") == "1" else None


def _bring_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
