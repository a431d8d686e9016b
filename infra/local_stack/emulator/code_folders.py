"""A function's code lies unpacked once, however many processes run it.

MiniStack unpacks it for each process that it starts: 75 MB, which Python then compiles again. Here each process's
`code` is a link to one folder for all that run the same code. On Lambda nobody can write there either.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# The folder that MiniStack makes for the code of one process, in a folder of the process's own.
_OF_A_PROCESS = "code"
_SHARED = "ministack-code-"
_UNFINISHED = ".unfinished"
_lock = threading.Lock()


def sharing_zipfile() -> SimpleNamespace:
    """Stands in for the module zipfile in ministack.core.lambda_runtime."""
    return SimpleNamespace(**vars(zipfile) | {"ZipFile": _SharingZipFile})


class _SharingZipFile(zipfile.ZipFile):
    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        if path is None or Path(path).name != _OF_A_PROCESS or self.filename is None:
            super().extractall(path, members, pwd)
            return
        of_the_process, archive = Path(path), Path(self.filename)
        with _lock:
            shared = self._unpacked(archive, of_the_process.parent.parent)
            of_the_process.rmdir()
            of_the_process.symlink_to(shared, target_is_directory=True)
            _remove_unused(shared.parent)
        archive.unlink()

    def _unpacked(self, archive: Path, directory: Path) -> Path:
        with archive.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        shared = directory / f"{_SHARED}{digest}"
        if not shared.exists():
            unfinished = shared.with_suffix(_UNFINISHED)
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(mode=0o700)
            super().extractall(unfinished)
            # In one step, so that what a kill interrupts is never taken for whole.
            unfinished.rename(shared)
        return shared


def _remove_unused(directory: Path) -> None:
    """Code that no process's folder links to any more: an earlier deploy's."""
    used = set(_links(directory))
    for folder in directory.glob(f"{_SHARED}*"):
        if folder not in used and folder.suffix != _UNFINISHED:
            shutil.rmtree(folder, ignore_errors=True)


def _links(directory: Path) -> Iterator[Path]:
    for link in directory.glob(f"*/{_OF_A_PROCESS}"):
        if link.is_symlink():
            yield link.readlink()
