"""The rules of the line one by one: who has a place, who is next, when it is looked at again, what is remembered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.orders.turns import (
    GRACE_MS,
    REMEMBERED_ACCOUNTS,
    REMEMBERED_MS,
    WINDOW_MS,
    AccountInLine,
    Place,
    TurnPolicy,
    Turns,
    Waiting,
    starts_a_minute,
)
from chalicelib.rate import Rate

NOW = 1_760_000_000_000
HOLD_MS = 25_000
# a start each 1,000 ms, three of them at once
RATE = Rate(limit=12, burst=3, period=10_000)
POLICY = TurnPolicy(RATE, places=3, own_places=2, hold_ms=HOLD_MS)


def new(order_id: str = "order", account: str = "one") -> Waiting:
    return Waiting(order_id, account, since_ms=NOW, needs_slot=True)


def again(order_id: str = "order", account: str = "one") -> Waiting:
    return Waiting(order_id, account, since_ms=NOW, needs_slot=False)


def place(order_id: str = "order", account: str = "one", until_ms: int = NOW + HOLD_MS) -> Place:
    return Place(order_id, account, NOW, until_ms)


def test_the_rate_is_kept_over_a_minute_and_the_grace_before_it() -> None:
    assert starts_a_minute(100, 10) == Rate(100, 10, WINDOW_MS + GRACE_MS)
    assert (RATE.interval, RATE.tolerance) == (1_000, 2_000)


class TestSlots:
    @pytest.mark.parametrize(
        ("arrival_ms", "free_at"), [(0, NOW), (NOW + 2_000, NOW), (NOW + 2_001, NOW + 1), (NOW + 5_000, NOW + 3_000)]
    )
    def test_a_slot_is_free_as_soon_as_the_rate_lets_another_through(self, arrival_ms: int, free_at: int) -> None:
        assert Turns(arrival_ms=arrival_ms).slot_free_at(POLICY, NOW) == free_at

    def test_a_start_takes_a_slot_and_a_place_and_is_remembered_of_its_account(self) -> None:
        started = Turns(arrival_ms=NOW - 5).start(POLICY, new(), NOW)
        assert started.places == (Place("order", "one", NOW, NOW + HOLD_MS),)
        assert started.arrival_ms == NOW + 1_000
        assert started.line == (AccountInLine("one", last_start_ms=NOW),)
        assert started.start(POLICY, new("next"), NOW).arrival_ms == NOW + 2_000, "from where the last one left it"

    def test_an_order_that_started_before_takes_a_place_alone(self) -> None:
        before = Turns(arrival_ms=NOW + 7)
        assert before.start(POLICY, again(), NOW) == replace(before, places=(place(),))

    def test_an_order_has_one_place_however_often_it_starts(self) -> None:
        turns = Turns(places=(place("other"), place(until_ms=NOW + 1))).start(POLICY, again(), NOW)
        assert turns.places == (place("other"), place())
        assert turns.place_of("order") == place()
        assert turns.place_of("another") is None

    def test_whoever_ends_frees_its_own_place(self) -> None:
        assert Turns(places=(place("a"), place("b"))).end("a").places == (place("b"),)


class TestMayStart:
    @pytest.mark.parametrize(
        ("turns", "waiting", "may"),
        [
            (Turns(), new(), True),
            (Turns(arrival_ms=NOW + 2_001), new(), False),
            (Turns(arrival_ms=NOW + 2_001), again(), True),
            (Turns(line=(AccountInLine("two", waiting=1),)), new(), False),
            (Turns(line=(AccountInLine("two", resuming=1),)), again(), False),
            (Turns(line=(AccountInLine("two", last_start_ms=NOW),)), new(), True),
            (Turns(places=(place("a"),)), new(), True),
            (Turns(places=(place("a"), place("b"))), new(), False),
            (Turns(places=(place("a", "two"), place("b", "two"))), new(), True),
            (Turns(places=(place("a", "two"), place("b", "two"), place("c"))), new(), False),
        ],
    )
    def test_who_comes_starts_at_once_where_there_is_room_and_nobody_waits(
        self, turns: Turns, waiting: Waiting, may: bool
    ) -> None:
        assert turns.may_start(POLICY, waiting, NOW) is may


class TestNext:
    def test_the_account_goes_first_whose_last_start_is_the_longest_ago(self) -> None:
        line = (AccountInLine("one", 1, last_start_ms=NOW - 1), AccountInLine("two", 1, last_start_ms=NOW - 2))
        account = Turns(line=line).next_account(POLICY, NOW)
        assert account == line[1]

    def test_without_a_slot_only_those_go_on_that_started_before(self) -> None:
        line = (AccountInLine("one", waiting=1), AccountInLine("two", resuming=1, last_start_ms=NOW))
        turns = Turns(arrival_ms=NOW + 2_001, line=line)
        assert turns.next_account(POLICY, NOW) == line[1]
        assert turns.next_account(POLICY, NOW + 1) == line[0]

    def test_an_account_with_all_its_places_taken_leaves_its_turn_to_the_next(self) -> None:
        line = (AccountInLine("one", waiting=1), AccountInLine("two", waiting=1, last_start_ms=NOW))
        assert Turns(places=(place("a"), place("b")), line=line).next_account(POLICY, NOW) == line[1]
        assert Turns(places=(place("a"), place("b"), place("c", "two")), line=line).next_account(POLICY, NOW) is None

    def test_of_an_empty_line_nobody_is_next(self) -> None:
        assert Turns(line=(AccountInLine("one", last_start_ms=NOW),)).next_account(POLICY, NOW) is None


class TestLine:
    def test_who_comes_into_line_and_leaves_it_is_counted_by_what_it_needs(self) -> None:
        turns = Turns()
        for waiting in (new("a"), new("b"), again("c")):
            turns = turns.join_line(waiting, is_new=True)
        assert turns.line == (AccountInLine("one", waiting=2, resuming=1),)
        assert turns.own_waiting("one") == 2
        assert turns.leave_line(new("a")).line == (AccountInLine("one", waiting=1, resuming=1),)
        assert turns.leave_line(again("c")).line == (AccountInLine("one", waiting=2, resuming=0),)

    def test_who_was_in_line_already_is_not_counted_twice_and_is_counted_once_at_least(self) -> None:
        for waiting, counted in ((new(), AccountInLine("one", 1, 0)), (again(), AccountInLine("one", 0, 1))):
            once = Turns().join_line(waiting, is_new=False)
            assert once.line == (counted,)
            assert once.join_line(waiting, is_new=False) == once
        many = Turns(line=(AccountInLine("one", 4, 5),))
        assert many.join_line(new(), is_new=False) == many
        assert many.join_line(again(), is_new=False) == many

    def test_nobody_leaves_a_line_that_is_empty(self) -> None:
        known = Turns(line=(AccountInLine("one", last_start_ms=5),))
        assert known.leave_line(new()) == known.leave_line(again()) == known
        assert Turns().leave_line(new()) == Turns(), "of an account that never started anything nothing is kept"

    def test_a_line_that_was_counted_anew_has_so_many_and_none_that_need_a_place_only(self) -> None:
        turns = Turns(line=(AccountInLine("one", 4, 5, NOW),))
        assert turns.counted_anew("one", 2).line == (AccountInLine("one", 2, 0, NOW),)
        assert turns.counted_anew("one", 0).line == (AccountInLine("one", 0, 0, NOW),)
        assert turns.counted_anew("one", None).line == (AccountInLine("one", 4, 0, NOW),)

    def test_a_change_of_one_account_leaves_the_others_as_they_are(self) -> None:
        other = AccountInLine("two", 3)
        turns = Turns(line=(other, AccountInLine("one", 1))).join_line(new(), is_new=True)
        assert turns.line == (other, AccountInLine("one", 2))
        assert turns.waits()
        assert not Turns(line=(AccountInLine("one", last_start_ms=NOW),)).waits()


class TestLookAt:
    def test_where_nobody_waits_nobody_looks(self) -> None:
        assert Turns(places=(place(),), line=(AccountInLine("one", last_start_ms=1),)).look_at(POLICY, NOW) is None

    @pytest.mark.parametrize(
        ("turns", "at_ms"),
        [
            (Turns(), NOW),
            (Turns(arrival_ms=NOW + 5_000), NOW + 3_000),
            (Turns(places=(place("a", until_ms=NOW + 9), place("b", until_ms=NOW + 5))), NOW + 5),
            (Turns(places=(place("a", until_ms=NOW - 9), place("b", until_ms=NOW + 5))), NOW),
        ],
    )
    def test_the_line_is_looked_at_when_it_may_go_on(self, turns: Turns, at_ms: int) -> None:
        assert replace(turns, line=(AccountInLine("one", 1),)).look_at(POLICY, NOW) == at_ms

    def test_one_account_without_a_place_does_not_keep_another_from_its_slot(self) -> None:
        line = (AccountInLine("one", 1), AccountInLine("two", 1))
        turns = Turns(arrival_ms=NOW + 5_000, places=(place("a"), place("b")), line=line)
        assert turns.look_at(POLICY, NOW) == NOW + 3_000


class TestEstimate:
    LINE = (AccountInLine("one", 2), AccountInLine("two", 9), AccountInLine("three", 1))

    @pytest.mark.parametrize(("ahead", "turns_before"), [(None, 2 + 3 + 1), (0, 0 + 1 + 1), (1, 1 + 2 + 1)])
    def test_each_other_account_has_a_turn_for_each_of_ours_as_long_as_it_has_orders(
        self, ahead: int | None, turns_before: int
    ) -> None:
        turns = Turns(line=self.LINE, arrival_ms=NOW + 2_500)
        assert turns.estimate(POLICY, "one", NOW, ahead) == NOW + 500 + 1_000 * turns_before

    def test_an_account_that_is_not_in_line_waits_for_a_turn_of_each(self) -> None:
        assert Turns(line=self.LINE).estimate(POLICY, "new", NOW) == NOW + 3_000


class TestMemory:
    @pytest.mark.parametrize(("until_ms", "is_held"), [(NOW, False), (NOW + 1, True)])
    def test_a_place_is_held_until_its_time_is_over(self, until_ms: int, is_held: bool) -> None:
        assert bool(Turns(places=(place(until_ms=until_ms),)).at(NOW).places) is is_held

    @pytest.mark.parametrize(
        ("account", "is_known"),
        [
            (AccountInLine("one", last_start_ms=NOW - REMEMBERED_MS), False),
            (AccountInLine("one", last_start_ms=NOW - REMEMBERED_MS + 1), True),
            (AccountInLine("one", waiting=1), True),
            (AccountInLine("one", resuming=1), True),
        ],
    )
    def test_an_account_is_known_while_it_waits_and_a_minute_after_its_last_start(
        self, account: AccountInLine, is_known: bool
    ) -> None:
        assert Turns(line=(account,)).at(NOW).line == ((account,) if is_known else ())

    def test_of_very_many_idle_accounts_those_are_known_that_started_last(self) -> None:
        idle = [
            AccountInLine(f"idle-{number}", last_start_ms=NOW - number) for number in range(REMEMBERED_ACCOUNTS + 2)
        ]
        waits = AccountInLine("waits", waiting=1)
        assert Turns(line=(*idle, waits)).at(NOW).line == (*idle[:REMEMBERED_ACCOUNTS], waits)

    def test_nothing_else_of_the_turns_changes_with_time(self) -> None:
        turns = Turns(arrival_ms=5, called_for_ms=6, revision=7)
        assert turns.at(NOW) == turns
