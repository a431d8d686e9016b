"""The emulator is killed in the middle of orders: what it has acknowledged is there when it starts again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from chalicelib.access.keys import Scope
from chalicelib.risk.counters import account_scope
from infra.local_stack.restart import Restart
from infra.local_stack.stack import Layout, start, stop
from operations import keys
from operations.control import control_table
from operations.target import EmulatorCredentials, target_for
from testing.client import Client, eventually
from testing.ports import free_port
from tests.faults.dice import CHAIN, FULL, scaled
from tests.integration.web import without_ticket

ORDERS = scaled(short=15, full=60)
KILLS = scaled(short=2, full=6)
OTHER = account_scope("other")


def kill(layout: Layout) -> None:
    """The emulator and all that it has started, at once."""
    pid = json.loads(layout.emulator().pid_file.read_text())["pid"]
    os.killpg(pid, signal.SIGKILL)
    eventually(lambda: not layout.emulator().members())


def test_what_was_acknowledged_outlives_a_kill_and_orders_go_on(tmp_path: Path) -> None:
    told: list[str] = []
    layout = Layout(
        tmp_path, free_port(), free_port(following=1), ("--chain", CHAIN, "--slot-ms", "100"), orders_per_minute=10_000
    )
    try:
        description = start(layout, told.append)
        credentials = EmulatorCredentials.of(description)
        accepted: list[str] = []
        for round_ in range(KILLS):
            client = Client(description["restUrl"])
            administration = keys.administration(target_for("local", layout.aws_url, credentials=credentials))
            secret = administration.create("another", frozenset({Scope.READ}), label="before the kill").secret
            table = control_table(target_for("local", layout.aws_url, credentials=credentials))
            table.set_limits(OTHER, {"open_orders": 100 + round_})
            ended = client.ended(client.execute("SOL", "USDC", "0.01")["orderId"])
            accepted.append(ended["orderId"])
            accepted += [client.execute("SOL", "USDC", "0.01")["orderId"] for _ in range(ORDERS)]

            kill(layout)
            told.clear()
            again = start(layout, told.append)

            assert {name: again[name] for name in ("restUrl", "wsUrl", "apiKey", "wallet")} == {
                name: description[name] for name in ("restUrl", "wsUrl", "apiKey", "wallet")
            }
            restart = Restart.read(layout.emulator_state)
            assert restart is not None
            assert (restart.was_killed, restart.unreadable) == (True, ())
            assert any("was killed" in step for step in told)
            assert administration.is_valid(secret)
            assert table.limits_in(OTHER).open_orders == 100 + round_
            assert without_ticket(client.order(ended["orderId"])) == without_ticket(ended)
            for order_id in accepted:
                assert client.order(order_id)["orderId"] == order_id
                if FULL:
                    # Messages that were on their way are sent again by the sweeper, which takes minutes.
                    assert client.ended(order_id, patience_seconds=240)["status"] == "confirmed"
        assert stop(layout) == ["ministack", "localnet"]
        told.clear()
        start(layout, told.append)
        assert not any("was killed" in step for step in told), "it was stopped"
        assert client.order(accepted[0])["status"] == "confirmed"
    finally:
        stop(layout)
