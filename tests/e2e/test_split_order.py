"""An order of a size that one pool serves badly, through the whole stack: one transaction over several programs."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from chalicelib.venues.supported import VENUES
from testing.chain import Chain
from testing.client import Client, follow

# About three hundred thousand dollars' worth, of a token whose deepest pool holds four hundred thousand. The other
# traders move prices by hundredths of a percent meanwhile; the split pays several percent more.
AMOUNT = "90000"
PROGRAMS = {venue.program: str(venue.program_id) for venue in VENUES}


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
    assert len({leg["program"] for leg in order["route"]}) >= 3
    assert sum(Decimal(leg["amountIn"]) for leg in order["route"]) == Decimal(AMOUNT)
    assert sum(Decimal(leg["expectedOut"]) for leg in order["route"]) == Decimal(order["quotedOut"])
    assert sum(Decimal(leg["share"]) for leg in order["route"]) == 1
    filled = Decimal(order["amountOut"])
    assert filled > max(singles) * Decimal("1.02")
    assert filled >= Decimal(order["minOut"])


def test_all_legs_are_in_its_one_transaction(client: Client, stack: dict[str, str]) -> None:
    order = client.ended(client.execute("USDC", "LEVY", "150000", slippage="0.02")["orderId"])
    assert order["status"] == "confirmed", [step.get("error") for step in order["history"]]
    message = Chain(stack["rpcUrl"]).transaction(order["txHash"])["transaction"]["message"]
    programs = [message["accountKeys"][each["programIdIndex"]] for each in message["instructions"]]
    assert len({leg["program"] for leg in order["route"]}) >= 3
    called = Counter(PROGRAMS[leg["program"]] for leg in order["route"])
    assert {program: programs.count(program) for program in called} == called


# Of such orders a way over a third token pays ten to fifteen hundredths of a percent more than the pair's own pools,
# more than the other traders move prices by: at least one of them is so at any time.
HOPPING = (("USDT", "JUP", "20000"), ("JUP", "USDC", "48000"), ("SOL", "BONK", "130"), ("USDT", "SOL", "20000"))


def test_an_order_goes_over_a_third_token_with_its_hops_split(client: Client, stack: dict[str, str]) -> None:
    """One transaction carries all legs, and what the first hop guarantees is what the second spends."""
    for sold, bought, amount in HOPPING:
        order = client.ended(client.execute(sold, bought, amount, slippage="0.02")["orderId"])
        assert order["status"] == "confirmed", [step.get("error") for step in order["history"]]
        between = {leg["tokenOut"] for leg in order["route"]} - {bought}
        if between and len(order["route"]) > 2:
            break
    else:
        pytest.fail("no order went over a third token with a hop that is split")
    (over,) = between
    first = [leg for leg in order["route"] if leg["tokenOut"] == over]
    second = [leg for leg in order["route"] if leg["tokenIn"] == over]
    assert len(first) + len(second) == len(order["route"])
    assert sum(Decimal(leg["expectedOut"]) for leg in first) == sum(Decimal(leg["amountIn"]) for leg in second)
    assert sum(Decimal(leg["share"]) for leg in first) == sum(Decimal(leg["share"]) for leg in second) == 1
    assert Decimal(order["amountOut"]) >= Decimal(order["minOut"])
    message = Chain(stack["rpcUrl"]).transaction(order["txHash"])["transaction"]["message"]
    programs = [message["accountKeys"][each["programIdIndex"]] for each in message["instructions"]]
    called = Counter(PROGRAMS[leg["program"]] for leg in order["route"])
    assert {program: programs.count(program) for program in called} == called
