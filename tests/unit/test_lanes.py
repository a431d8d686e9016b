"""Lanes: the same signed bytes go to all of them and to the nodes, and none costs the others anything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError
from solders.pubkey import Pubkey

from chalicelib.problems import RpcRefused, RpcUnavailable
from chalicelib.settings import read_settings
from chalicelib.solana.failover import FailoverRpc
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.rpc_errors import NodeLimited
from chalicelib.solana.tips import Tips
from infra.deployment.deploy import LaneSettings
from tests.unit.test_failover import Clock, on_the_spot
from tests.unit.test_settings import ENVIRONMENT

WIRE = b"the signed bytes"
LANE_ACCOUNT, ANOTHER = str(Pubkey(bytes([77] * 32))), str(Pubkey(bytes([78] * 32)))


class Receiver(SolanaRpc):
    """Takes sends and notes them; asked for anything else it fails the test."""

    def __init__(self, answer: Callable[[], str] = lambda: "signature") -> None:
        self.received: list[tuple[bytes, dict[str, Any]]] = []
        self.answer = answer

    def send_transaction(self, wire: bytes, **how: Any) -> str:
        self.received.append((wire, how))
        return self.answer()

    def get_slot(self, **asked: Any) -> int:
        return 1


def failing(error: Exception) -> Callable[[], str]:
    def answer() -> str:
        raise error

    return answer


def test_the_same_bytes_go_to_every_node_and_every_lane_as_lanes_want_them() -> None:
    nodes, lanes = [Receiver(), Receiver()], [Receiver(), Receiver(), Receiver()]
    rpc = FailoverRpc(nodes, Clock(), lanes=lanes, start=on_the_spot)
    assert rpc.send_transaction(WIRE, skip_preflight=True) == "signature"
    for receiver in (*nodes, *lanes):
        ((wire, how),) = receiver.received
        assert wire == WIRE
        assert (how["skip_preflight"], how["max_retries"]) == (True, 0)


@pytest.mark.parametrize(
    "error", [RpcRefused("sendTransaction", -32602, "no"), RpcUnavailable("silent"), NodeLimited("too often")]
)
def test_a_lane_that_refuses_costs_the_others_nothing(error: Exception) -> None:
    node, good, bad = Receiver(), Receiver(), Receiver(failing(error))
    rpc = FailoverRpc([node], Clock(), lanes=[bad, good], start=on_the_spot)
    assert rpc.send_transaction(WIRE, skip_preflight=True) == "signature"
    assert len(node.received) == len(good.received) == 1


def test_a_lane_that_hangs_holds_up_nobody() -> None:
    released = threading.Event()

    def hang() -> str:
        released.wait(30)
        return "late"

    node, hanging = Receiver(), Receiver(hang)
    try:
        rpc = FailoverRpc([node], Clock(), lanes=[hanging])
        assert rpc.send_transaction(WIRE, skip_preflight=True) == "signature"
    finally:
        released.set()


def test_a_lane_takes_it_where_no_node_does() -> None:
    node, lane = Receiver(failing(RpcUnavailable("dead"))), Receiver(lambda: "by the lane")
    rpc = FailoverRpc([node], Clock(), lanes=[lane], start=on_the_spot)
    assert rpc.send_transaction(WIRE, skip_preflight=True) == "by the lane"


def test_what_all_lanes_say_against_it_is_no_answer_of_a_node() -> None:
    node, lane = Receiver(failing(RpcUnavailable("dead"))), Receiver(failing(RpcRefused("sendTransaction", 1, "no")))
    rpc = FailoverRpc([node], Clock(), lanes=[lane], start=on_the_spot)
    with pytest.raises(RpcUnavailable):
        rpc.send_transaction(WIRE, skip_preflight=True)


def test_a_lane_that_wants_to_be_asked_less_often_is_left_alone_for_that_long() -> None:
    clock, lane = Clock(), Receiver(failing(NodeLimited("too often", retry_after_ms=1_000)))
    rpc = FailoverRpc([Receiver()], clock, lanes=[lane], start=on_the_spot)
    for _ in range(3):
        rpc.send_transaction(WIRE, skip_preflight=True)
    assert len(lane.received) == 1
    clock.now_ms += 1_000
    rpc.send_transaction(WIRE, skip_preflight=True)
    assert len(lane.received) == 2


def test_the_view_of_one_node_sends_to_the_lanes_too() -> None:
    lane = Receiver()
    FailoverRpc([Receiver()], Clock(), lanes=[lane], start=on_the_spot).one_node().send_transaction(
        WIRE, skip_preflight=True
    )
    assert len(lane.received) == 1


def test_an_orders_tip_goes_to_always_the_same_account_and_over_all_orders_to_all_of_them() -> None:
    accounts = tuple(Pubkey(bytes([number] * 32)) for number in range(8))
    tips = Tips(10_000, accounts)
    assert tips.tip_for("order-1") == tips.tip_for("order-1")
    drawn = [tip.account for number in range(400) if (tip := tips.tip_for(f"order-{number}"))]
    assert set(drawn) == set(accounts)
    assert Tips().tip_for("order-1") is None
    with pytest.raises(ValueError, match="needs an account"):
        Tips(1)


# --- the settings -------------------------------------------------------------------------------------------------


def settings_of(**environment: str) -> Any:
    return read_settings({**ENVIRONMENT, **environment})


def test_lanes_tips_and_the_version_are_settings() -> None:
    plain = settings_of()
    assert (plain.transaction_version, plain.sender_urls, plain.tip_lamports) == (1, (), 0)
    told = settings_of(
        TRANSACTION_VERSION="0",
        SENDERS="https://one.example, https://two.example/key",
        TIP_LAMPORTS="10000",
        TIP_ACCOUNTS=f"{LANE_ACCOUNT},{ANOTHER}",
    )
    assert told.transaction_version == 0
    assert told.sender_urls == ("https://one.example", "https://two.example/key")
    assert told.tip_account_texts == (LANE_ACCOUNT, ANOTHER)
    assert "two.example" not in repr(told)


@pytest.mark.parametrize(
    "wrong",
    [
        {"TRANSACTION_VERSION": "2"},
        {"TRANSACTION_VERSION": "legacy"},
        {"SENDERS": "ftp://lane.example"},
        {"TIP_LAMPORTS": "-1"},
        {"TIP_LAMPORTS": "1"},
        {"TIP_LAMPORTS": "2800001", "TIP_ACCOUNTS": LANE_ACCOUNT},
        {"TIP_ACCOUNTS": "nobody"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings_of(**wrong)


def test_a_deploy_takes_them_from_its_environment() -> None:
    assert LaneSettings.of({}) == LaneSettings()
    told = LaneSettings.of({"TRANSACTION_VERSION": "0", "SENDERS": "https://lane.example", "TIP_LAMPORTS": ""})
    assert (told.transaction_version, told.senders, told.tip_lamports) == ("0", "https://lane.example", "0")
    assert "lane.example" not in repr(told)
