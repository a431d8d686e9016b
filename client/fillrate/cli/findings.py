"""What `fillrate doctor` finds: of the service here, of a checkout in infra/local_stack/examination.py."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"  # nothing is broken, but it explains what else is seen
    WRONG = "wrong"


class Finding(NamedTuple):
    """`seen` is what was found of `part`, `remedy` what to do about it, which every wrong one has."""

    part: str
    verdict: Verdict
    seen: str
    remedy: str = ""
