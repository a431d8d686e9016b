"""What a method answers with: a JSON value, or JSON text that is already written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.localnet.ledger import Bank

# The first release that knows getAgGenesisCert.
API_VERSION = "4.3.0"
FEATURE_SET = 3640012085


@dataclass(frozen=True, slots=True)
class RawJson:
    """JSON text, passed on as it is."""

    text: str


def context(bank: Bank) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "slot": bank.slot}


def in_context(bank: Bank, value: Any) -> dict[str, Any]:
    return {"context": context(bank), "value": value}


def raw_in_context(bank: Bank, value: str) -> RawJson:
    return RawJson(f'{{"context":{{"apiVersion":"{API_VERSION}","slot":{bank.slot}}},"value":{value}}}')
