"""An order of a size that a single pool serves badly, through the whole stack: one transaction over two pools."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as METEORA
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as RAYDIUM
from testing.chain import Chain
from testing.client import Client, follow

# About three hundred thousand dollars' worth, of a token whose deepest pool holds four hundred thousand. The other
# traders move prices by hundredths of a percent meanwhile; the split pays several percent more.
AMOUNT = "90000"


@pytest.fixture(scope="module")
def client(stack: dict[str, str]) -> Client:
    return Client(stack["restUrl"])


def test_a_split_fills_for_more_than_the_best_single_pool_quotes(client: Client, stack: dict[str, str]) -> None:
    before = client.call("GET", f"/quotes?tokenIn=LEVY&tokenOut=USDC&amount={AMOUNT}&slippage=0.02").body
    singles = [Decimal(quote["amountOut"]) for quote in before["quotes"] if "amountOut" in quote]
    assert singles

    accepted = client.execute("LEVY", "USDC", AMOUNT, slippage="0.02")
    messages = follow(accepted["wsUrl"])

    order = client.order(accepted["orderId"])
    assert messages[-1]["status"] == order["status"] == "confirmed"
    assert {leg["dex"] for leg in order["route"]} == {"raydium", "meteora"}
    assert sum(Decimal(leg["amountIn"]) for leg in order["route"]) == Decimal(AMOUNT)
    assert sum(Decimal(leg["expectedOut"]) for leg in order["route"]) == Decimal(order["quotedOut"])
    assert sum(Decimal(leg["share"]) for leg in order["route"]) == 1
    filled = Decimal(order["amountOut"])
    assert filled > max(singles) * Decimal("1.02")
    assert filled >= Decimal(order["minOut"])


def test_both_legs_are_in_its_one_transaction(client: Client, stack: dict[str, str]) -> None:
    order = client.ended(client.execute("USDC", "LEVY", "150000", slippage="0.02")["orderId"])
    message = Chain(stack["rpcUrl"]).transaction(order["txHash"])["transaction"]["message"]
    programs = [message["accountKeys"][each["programIdIndex"]] for each in message["instructions"]]
    assert len(order["route"]) == 2
    assert programs.count(str(RAYDIUM)) == programs.count(str(METEORA)) == 1
