"""What was written to the emulated DynamoDB since its state was last saved, so that no kill takes it back.

A request's writes are one line, handed to the system before the request is answered; once a second all is brought to
the disk. A line that a kill cut short is of a request that was not answered. Lines may be read back over a state that
has them already: each tells what an item was after the write.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_DISK_SECONDS = 1.0


class Write(NamedTuple):
    """`table_id` is another one for each table that is made. `item` in DynamoDB's own JSON; None: it was deleted."""

    table_arn: str
    table_id: str
    partition_key: str
    sort_key: str
    item: dict[str, Any] | None


class Journal:
    """Two files: what goes on, and what went before a saving that is under way or has failed. Threads may share it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._present = directory / "writes.journal"
        self._former = directory / "writes.former.journal"
        self._lock = threading.Lock()
        self._file = self._present.open("ab")
        if self._file.tell() > 0:
            self._file.write(b"\n")  # the last line may have been cut short
            self._file.flush()
        self._on_disk = True
        threading.Thread(target=self._bring_to_disk, daemon=True).start()

    @property
    def size(self) -> int:
        """Bytes since the last saving."""
        with self._lock:
            return self._file.tell()

    def append(self, writes: Sequence[Write]) -> None:
        """All or none of them is there after a kill. Raises OSError."""
        line = json.dumps(writes, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()
            self._on_disk = False

    def read(self) -> Iterator[Write]:
        """Every write, in order."""
        for file in (self._former, self._present):
            if file.exists():
                for line in file.read_bytes().splitlines():
                    try:
                        writes = json.loads(line)
                    except ValueError:
                        continue  # the last one, cut short
                    yield from (Write(*write) for write in writes)

    def begin_saving(self) -> None:
        """What comes from now on may not be in the state that is saved. Raises OSError."""
        with self._lock:
            self._file.close()
            if self._former.exists():
                with self._former.open("ab") as former:
                    former.write(self._present.read_bytes())
                self._present.unlink()
            else:
                self._present.replace(self._former)
            self._file = self._present.open("ab")

    def end_saving(self) -> None:
        """What went before `begin_saving` is in the state that was saved."""
        self._former.unlink(missing_ok=True)

    def _bring_to_disk(self) -> None:
        pause = threading.Event()
        while not pause.wait(_DISK_SECONDS):
            with self._lock:
                if self._on_disk:
                    continue
                self._on_disk = True
                descriptor = os.dup(self._file.fileno())
            try:
                os.fsync(descriptor)  # outside of the lock: nobody waits for the disk
            finally:
                os.close(descriptor)
