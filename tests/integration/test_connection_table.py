"""Who is connected, and what an account's connections may watch: never less than they do."""

from __future__ import annotations

import pytest

from chalicelib.problems import TooManyConnections
from chalicelib.push.connection_table import ConnectionCaps, ConnectionTable, MayWatch, Speaker, Watches
from tests.integration.cloud import Cloud
from tests.sample_orders import CREATED_AT_MS as NOW_MS

NOTHING, ALL = MayWatch(account=False, orders=False), MayWatch(account=True, orders=True)
STREAM, ORDERS = MayWatch(account=True, orders=False), MayWatch(account=False, orders=True)


@pytest.fixture
def table(cloud: Cloud) -> ConnectionTable:
    return cloud.connection_table(ConnectionCaps(of_key=2, of_account=4))


def opened(table: ConnectionTable, *watches: Watches | None, account: str = "alice") -> None:
    for number, one in enumerate(watches):
        table.open(f"{account}-{number}", account, None, NOW_MS, one)


@pytest.mark.parametrize(
    ("watches", "may"),
    [
        ((), NOTHING),
        ((Watches.STREAM,), STREAM),
        ((Watches.ORDERS, Watches.ORDERS), ORDERS),
        ((Watches.STREAM, Watches.ORDERS), ALL),
        ((None,), ALL),
        ((Watches.STREAM, None), ALL),
    ],
)
def test_an_accounts_connections_may_watch_what_they_were_opened_for(
    table: ConnectionTable, watches: tuple[Watches | None, ...], may: MayWatch
) -> None:
    opened(table, *watches)
    opened(table, None, account="bob")
    assert table.may_watch(["alice"]) == {"alice": may}


def test_many_accounts_are_looked_up_at_once(table: ConnectionTable) -> None:
    opened(table, Watches.STREAM)
    accounts = ["alice", *(f"account-{number}" for number in range(120))]
    assert table.may_watch(accounts) == {**dict.fromkeys(accounts, NOTHING), "alice": STREAM}


def test_one_that_is_closed_or_no_longer_counted_may_watch_nothing(table: ConnectionTable) -> None:
    opened(table, Watches.STREAM, Watches.ORDERS, None)
    table.close("alice-2")
    table.uncount("account#alice", {"alice-1"})
    assert table.may_watch(["alice"]) == {"alice": STREAM}
    table.close("alice-0")
    assert table.may_watch(["alice"]) == {"alice": NOTHING}


def test_one_that_was_let_in_for_its_account_may_be_let_watch_orders_too(table: ConnectionTable) -> None:
    opened(table, Watches.STREAM)
    assert table.hear("alice-0", NOW_MS) == Speaker("alice", Watches.STREAM)
    for _ in range(2):
        table.widen("alice-0", "alice", Watches.STREAM)
        assert table.may_watch(["alice"]) == {"alice": ALL}


def test_one_that_is_refused_may_watch_nothing(table: ConnectionTable) -> None:
    for number in range(2):
        table.open(f"bob-{number}", "bob", "key", NOW_MS, Watches.ORDERS)
    with pytest.raises(TooManyConnections):
        table.open("bob-2", "bob", "key", NOW_MS, Watches.STREAM)
    assert table.may_watch(["bob"]) == {"bob": ORDERS}
