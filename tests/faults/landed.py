"""The wallet's transactions as the chain holds them: whose they are, whether they swapped, what they moved and cost."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

SOL_MINT = "So11111111111111111111111111111111111111112"
MEMO = re.compile(r"fillrate:(?P<order>[^:\s\"]+):(?P<attempt>\d+)")

Json = dict[str, Any]


class ChainRecords(Protocol):
    def call(self, method: str, *params: Any) -> Any:
        """The result of one JSON-RPC call."""

    def transaction(self, signature: str) -> Json:
        """`getTransaction` at `confirmed`."""

    def balance(self, wallet: str, token: Json) -> int:
        """Base units of a token, as GET /tokens lists it; lamports for SOL."""


@dataclass(frozen=True)
class Landed:
    """One transaction of the wallet. `attempt` counts an order's from 1; `fee` in lamports."""

    signature: str
    order_id: str | None
    attempt: int
    succeeded: bool
    fee: int
    # what it did to the wallet, by mint; lamports for SOL, without the fee
    changes: dict[str, int]


def newest_signature(chain: ChainRecords, wallet: str) -> str | None:
    newest = chain.call("getSignaturesForAddress", wallet, {"limit": 1, "commitment": "confirmed"})
    return newest[0]["signature"] if newest else None


def landed_since(chain: ChainRecords, wallet: str, signature: str | None) -> list[Landed]:
    """All that landed after that one, or ever; newest first."""
    entries: list[Json] = []
    config: Json = {"commitment": "confirmed", "limit": 1000}
    if signature:
        config["until"] = signature
    while page := chain.call("getSignaturesForAddress", wallet, config):
        entries += page
        config["before"] = page[-1]["signature"]
    return [_read(chain, wallet, entry) for entry in entries]


def _read(chain: ChainRecords, wallet: str, entry: Json) -> Landed:
    memo = MEMO.search(entry["memo"] or "")
    meta = chain.transaction(entry["signature"])["meta"]
    return Landed(
        signature=entry["signature"],
        order_id=memo["order"] if memo else None,
        attempt=int(memo["attempt"]) if memo else 0,
        succeeded=entry["err"] is None,
        fee=int(meta["fee"]),
        changes=_changes(meta, wallet),
    )


def _changes(meta: Json, wallet: str) -> dict[str, int]:
    """By mint, from the balances that the chain keeps with a transaction. The wallet is its first account."""
    changes: Counter[str] = Counter()
    own = {0}
    for sign, name in ((-1, "preTokenBalances"), (1, "postTokenBalances")):
        for balance in meta[name]:
            if balance["owner"] == wallet:
                changes[balance["mint"]] += sign * int(balance["uiTokenAmount"]["amount"])
                own.add(balance["accountIndex"])
    # SOL is what the wallet and its token accounts hold in lamports, wrapped or as rent
    changes[SOL_MINT] = sum(meta["postBalances"][index] - meta["preBalances"][index] for index in own) + meta["fee"]
    return {mint: units for mint, units in changes.items() if units}
