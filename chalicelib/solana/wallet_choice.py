"""Which wallet a stage signs with, as the setting WALLET says it. Imports nothing heavy: every function reads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# Where a key may lie in a file: on a developer's machine.
LOCAL_STAGES = ("local", "localstack")


class WalletKind(StrEnum):
    KMS = "kms"
    SECRET = "secret"  # noqa: S105 (it names the kind)
    FILE = "file"


@dataclass(frozen=True, slots=True)
class WalletChoice:
    """`place` is a KMS key's id, ARN or alias, a secret's name or ARN, or a file's path."""

    kind: WalletKind
    place: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"

    @classmethod
    def parse(cls, text: str, stage: str) -> WalletChoice:
        """Read `kms:…`, `secret:…` or `file:…`. Raises ValueError that says what to write, also for a wrong stage."""
        kind, separator, place = text.partition(":")
        if kind not in list(WalletKind) or not separator or not place.strip() or place != place.strip():
            raise ValueError(
                "the wallet must be kms:<key id, ARN or alias>, secret:<name or ARN>,"
                f" or on {' and '.join(LOCAL_STAGES)} file:<path>"
            )
        if kind == WalletKind.FILE and stage not in LOCAL_STAGES:
            raise ValueError(f"stage {stage} takes no wallet from a file: use kms:<key id> or secret:<name>")
        return cls(WalletKind(kind), place)
