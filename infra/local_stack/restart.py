"""What the emulator found of its state at its start: told to whoever starts it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

_FILE = "restart.txt"


@dataclass(frozen=True, slots=True)
class Restart:
    """Whether the emulator was killed before, how many writes were read back, and which services' state is lost."""

    was_killed: bool
    writes: int
    unreadable: tuple[str, ...]

    def write(self, directory: Path) -> None:
        (directory / _FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        """None where no emulator has told."""
        try:
            found = json.loads((directory / _FILE).read_text())
            return cls(bool(found["was_killed"]), int(found["writes"]), tuple(found["unreadable"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person should know of it; nothing where all is as it was left."""
        told = []
        if self.was_killed and "dynamodb" not in self.unreadable:
            told.append(
                f"The emulator was killed: its orders, keys and limits are all there ({self.writes} writes were read "
                "back). Messages of the last second may be gone: their orders go on within two minutes"
            )
        if self.unreadable:
            told.append(
                f"What the emulator had saved of {', '.join(self.unreadable)} can't be read, and is gone"
                + (" (orders, keys and limits among it)" if "dynamodb" in self.unreadable else "")
                + "; the files are kept as .local/ministack/*.unreadable"
            )
        return tuple(told)
