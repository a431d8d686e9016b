"""What the chain says of the orders: how many swaps landed for each, and whether the wallet holds what it must."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from typing import Any

from bench.soak.report import Outcome
from chalicelib.solana.tokens import NATIVE_MINT
from testing.chain import Chain
from testing.client import Client, Json

MEMO = re.compile(r"fillrate:([^:\s\"]+):\d+")


class Books:
    """Opened before the first order; nothing but the orders may move the wallet until they are closed."""

    def __init__(self, client: Client, chain: Chain, wallet: str) -> None:
        self._client = client
        self._chain = chain
        self._wallet = wallet
        self._tokens: list[Json] = client.call("GET", "/tokens").body["tokens"]
        self._before = self._balances()
        newest = chain.call("getSignaturesForAddress", wallet, {"limit": 1, "commitment": "confirmed"})
        self._last_seen: str | None = newest[0]["signature"] if newest else None
        self._landed: Counter[str] = Counter()
        self._reverted = 0
        self._fees = 0
        # by order: what its swap changed of each token's balance, fee apart
        self._moved: dict[str, Counter[str]] = {}

    @property
    def fills(self) -> int:
        return self._landed.total()

    def look(self) -> None:
        """Note the wallet's new transactions: each is of the order that its memo names."""
        entries: list[Json] = ask(self._chain, "getSignaturesForAddress", self._wallet, self._since_last_time())
        for entry in entries:
            config = {"commitment": "confirmed", "maxSupportedTransactionVersion": 1, "encoding": "json"}
            meta = ask(self._chain, "getTransaction", entry["signature"], config)["meta"]
            memo = MEMO.search(entry["memo"] or "")
            self._fees += int(meta["fee"])
            if meta["err"] is not None:
                self._reverted += 1
                continue
            order_id = memo[1] if memo else f"no order: {entry['signature']}"
            self._landed[order_id] += 1
            self._moved[order_id] = moved_by(meta, self._wallet)
        if entries:
            self._last_seen = entries[0]["signature"]

    def close(self, accepted: list[str], stuck: int, refused: Counter[int]) -> Outcome:
        """Compare what the orders say with what the chain says."""
        self.look()
        orders = {order_id: self._client.order(order_id) for order_id in accepted}
        confirmed = {order_id for order_id, order in orders.items() if order["status"] == "confirmed"}
        attempts_failed = sum(
            change["status"] == "failed" and not change["terminal"]
            for order in orders.values()
            for change in order["history"]
        )
        return Outcome(
            orders=len(orders),
            refused=refused.total(),
            confirmed=len(confirmed),
            failed=Counter(order["errorCode"] for order in orders.values() if order["status"] == "failed"),
            retries=attempts_failed,
            reverted=self._reverted,
            stuck=stuck,
            double=sum(number > 1 for number in self._landed.values()),
            disagreeing=len(confirmed ^ self._landed.keys()),
            left_between=self._left_between([orders[order_id] for order_id in confirmed]),
            missing=self._missing([orders[order_id] for order_id in confirmed]),
        )

    def _missing(self, confirmed: list[Json]) -> dict[str, int]:
        """By how many base units each token's balance is not what the orders and the fees make of it."""
        expected = dict(self._before)
        decimals = {token["symbol"]: int(token["decimals"]) for token in self._tokens}
        native = next(token["symbol"] for token in self._tokens if token["mint"] == str(NATIVE_MINT))
        expected[native] -= self._fees
        for symbol, units in self._left_between(confirmed).items():
            expected[symbol] += units
        for order in confirmed:
            token_in, token_out = order["tokenIn"], order["tokenOut"]
            expected[token_in] -= int(Decimal(order["amount"]).scaleb(decimals[token_in]))
            expected[token_out] += int(Decimal(order["amountOut"]).scaleb(decimals[token_out]))
        now = self._balances()
        return {symbol: now[symbol] - expected[symbol] for symbol in now if now[symbol] != expected[symbol]}

    def _left_between(self, confirmed: list[Json]) -> dict[str, int]:
        """Base units that swaps over several pools left of tokens that are neither the order's input nor its output."""
        left: Counter[str] = Counter()
        for order in confirmed:
            for token in self._tokens:
                if token["symbol"] not in (order["tokenIn"], order["tokenOut"]):
                    left[token["symbol"]] += self._moved.get(order["orderId"], Counter())[token["mint"]]
        return {symbol: units for symbol, units in left.items() if units}

    def _balances(self) -> dict[str, int]:
        return {token["symbol"]: self._chain.balance(self._wallet, token) for token in self._tokens}

    def _since_last_time(self) -> Json:
        until = {} if self._last_seen is None else {"until": self._last_seen}
        return {"commitment": "confirmed", "limit": 1000, **until}


def moved_by(meta: Json, wallet: str) -> Counter[str]:
    """By mint, what a transaction that `wallet` paid for changed of its balances; native SOL without the fee."""
    moved: Counter[str] = Counter()
    for sign, when in ((-1, "pre"), (1, "post")):
        moved[str(NATIVE_MINT)] += sign * int(meta[f"{when}Balances"][0])
        for balance in meta[f"{when}TokenBalances"]:
            if balance["owner"] == wallet and balance["mint"] != str(NATIVE_MINT):
                moved[balance["mint"]] += sign * int(balance["uiTokenAmount"]["amount"])
    moved[str(NATIVE_MINT)] += int(meta["fee"])
    return moved


def ask(chain: Chain, method: str, *params: object) -> Any:
    """The chain's answer, asked for again where a fault meets the question."""
    for _ in range(20):
        try:
            return chain.call(method, *params)
        except (AssertionError, ValueError):
            continue
    raise RuntimeError(f"the chain does not answer {method}")
