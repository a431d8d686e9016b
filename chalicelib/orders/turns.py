"""Whose order starts next: at most so many in any 60 s, so many at once, and in turn by account. Pure.

A start slot is taken at the start and never before, so an order that is cancelled while it waits costs none; and no
slot is given back, so the limit holds whatever becomes of the orders. Of the accounts whose orders wait the one goes
first that has had its last start the longest ago.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.rate import Rate

WINDOW_MS = 60_000
# A start this much later than its slot still counts as on time; the rate allows for it.
GRACE_MS = 2_000
# An account that would have to wait longer than this for orders of its own is refused more of them.
LONGEST_WAIT_MS = 15 * 60 * 1000
# A start that is this much earlier or later than its client was told is told anew.
TOLD_AGAIN_MS = 30_000
# How long an account is known to have started an order, once none of its orders waits: so long is its next turn later
# than that of an account that has started none.
REMEMBERED_MS = 60_000
REMEMBERED_ACCOUNTS = 100


def starts_a_minute(limit: int, burst: int) -> Rate:
    """At most `limit` starts in any 60 s, of which `burst` may come at once, in ms.

    The starts of a window belong to slots of the window and of the grace before it, so the slots keep to the limit over
    both. Raises ValueError where burst is not from 1 to the limit.
    """
    return Rate(limit, burst, WINDOW_MS + GRACE_MS)


@dataclass(frozen=True, slots=True)
class TurnPolicy:
    """How orders take turns. `rate` is in ms; so many `places` there are for orders that are worked on, so many of them
    may be one account's (`own_places`), and so long (`hold_ms`) a place is held for a worker that says nothing more.
    """

    rate: Rate
    places: int
    own_places: int
    hold_ms: int


@dataclass(frozen=True, slots=True)
class Place:
    """An order that is worked on, or about to be, since `at_ms`, when it took its slot, until `until_ms` at most."""

    order_id: str
    account: str
    at_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order in line. One that has started before needs no slot again, only a place, and goes before those that do.

    `since_ms` orders those of one account; `told_ms` is when its client was told that it starts; `correlation_id` is of
    the request that placed it.
    """

    order_id: str
    account: str
    since_ms: int
    needs_slot: bool
    told_ms: int = 0
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class AccountInLine:
    """How many orders of an account wait for a slot, and how many for a place only; and when it last had a start."""

    account: str
    waiting: int = 0
    resuming: int = 0
    last_start_ms: int = 0

    @property
    def waits(self) -> bool:
        return self.waiting + self.resuming > 0


@dataclass(frozen=True, slots=True)
class Turns:
    """What all workers share: the rate's theoretical arrival time, the places that are taken, the line by account.

    `called_for_ms` is the time for which some worker was called last to look at the line again.
    """

    arrival_ms: int = 0
    places: tuple[Place, ...] = ()
    line: tuple[AccountInLine, ...] = ()
    called_for_ms: int = 0
    revision: int = 0

    def at(self, now_ms: int) -> Turns:
        """Without the places of workers that must be dead, and the accounts that have started nothing for a while."""
        places = tuple(place for place in self.places if place.until_ms > now_ms)
        idle = [one for one in self.line if not one.waits and one.last_start_ms + REMEMBERED_MS > now_ms]
        known = sorted(idle, key=lambda one: one.last_start_ms)[-REMEMBERED_ACCOUNTS:]
        line = tuple(one for one in self.line if one.waits or one in known)
        return replace(self, places=places, line=line)

    def place_of(self, order_id: str) -> Place | None:
        """The place that the order has, if it has one."""
        return next((place for place in self.places if place.order_id == order_id), None)

    def waits(self) -> bool:
        """Whether any order is in line."""
        return any(one.waits for one in self.line)

    def slot_free_at(self, policy: TurnPolicy, now_ms: int) -> int:
        """When the next start slot is free, now or later."""
        return max(now_ms, self.arrival_ms - policy.rate.tolerance)

    def next_account(self, policy: TurnPolicy, now_ms: int) -> AccountInLine | None:
        """The account whose order may start now, where any may."""
        slot_is_free = self.slot_free_at(policy, now_ms) <= now_ms
        able = [one for one in self.line if one.resuming or (one.waiting and slot_is_free)]
        able = [one for one in able if self._has_place(policy, one.account)]
        return min(able, key=lambda one: one.last_start_ms, default=None)

    def may_start(self, policy: TurnPolicy, waiting: Waiting, now_ms: int) -> bool:
        """Whether an order that has just come may start at once: there is room, and nobody is before it."""
        free = not waiting.needs_slot or self.slot_free_at(policy, now_ms) <= now_ms
        return free and not self.waits() and self._has_place(policy, waiting.account)

    def start(self, policy: TurnPolicy, waiting: Waiting, now_ms: int) -> Turns:
        """The order has its place, and its slot if it needs one. It is still in line, if it was (see `leave_line`)."""
        place = Place(waiting.order_id, waiting.account, now_ms, now_ms + policy.hold_ms)
        places = (*(one for one in self.places if one.order_id != waiting.order_id), place)
        if not waiting.needs_slot:
            return replace(self, places=places)
        arrival_ms = max(self.arrival_ms, now_ms) + policy.rate.interval
        started = replace(self._of(waiting.account), last_start_ms=now_ms)
        return replace(self._with(started), places=places, arrival_ms=arrival_ms)

    def end(self, order_id: str) -> Turns:
        """The order's place is free."""
        return replace(self, places=tuple(place for place in self.places if place.order_id != order_id))

    def join_line(self, waiting: Waiting, *, is_new: bool) -> Turns:
        """The order is in line: it came just now, or was in it already, which must then at least know of one."""
        own = self._of(waiting.account)
        slot, place = int(waiting.needs_slot), int(not waiting.needs_slot)
        if is_new:
            return self._with(replace(own, waiting=own.waiting + slot, resuming=own.resuming + place))
        return self._with(replace(own, waiting=max(own.waiting, slot), resuming=max(own.resuming, place)))

    def leave_line(self, waiting: Waiting) -> Turns:
        """The order is no longer in line."""
        own = self._of(waiting.account)
        slot, place = int(waiting.needs_slot), int(not waiting.needs_slot)
        return self._with(
            replace(own, waiting=max(own.waiting - slot, 0), resuming=max(own.resuming - place, 0)),
        )

    def counted_anew(self, account: str, waiting: int | None) -> Turns:
        """So many orders of the account wait for a slot (None: as counted), and none for a place only."""
        own = self._of(account)
        return self._with(replace(own, waiting=own.waiting if waiting is None else waiting, resuming=0))

    def look_at(self, policy: TurnPolicy, now_ms: int) -> int | None:
        """When the line should be looked at next, as far as that is known now; None where nobody waits."""
        waiting = [one for one in self.line if one.waits]
        if not waiting:
            return None
        if self.next_account(policy, now_ms) is not None:
            return now_ms
        if any(self._has_place(policy, one.account) for one in waiting):
            return self.slot_free_at(policy, now_ms)
        # whoever gives a place back looks at the line: this is for those that die
        return max(now_ms, min(place.until_ms for place in self.places))

    def own_waiting(self, account: str) -> int:
        """How many orders of the account wait for a slot."""
        return self._of(account).waiting

    def estimate(self, policy: TurnPolicy, account: str, now_ms: int, ahead: int | None = None) -> int:
        """When an order of the account would start that has `ahead` others of the account before it; None: all of them.

        An estimate: others may come, go, or take their turns in between.
        """
        own = self.own_waiting(account) if ahead is None else ahead
        # each other account has a turn for each of ours, as long as it has orders
        others = sum(min(one.waiting, own + 1) for one in self.line if one.account != account)
        return self.slot_free_at(policy, now_ms) + (own + others) * policy.rate.interval

    def _has_place(self, policy: TurnPolicy, account: str) -> bool:
        own = sum(1 for place in self.places if place.account == account)
        return len(self.places) < policy.places and own < policy.own_places

    def _of(self, account: str) -> AccountInLine:
        return next((one for one in self.line if one.account == account), AccountInLine(account))

    def _with(self, changed: AccountInLine) -> Turns:
        others = tuple(one for one in self.line if one.account != changed.account)
        kept = (changed,) if changed.waits or changed.last_start_ms else ()
        return replace(self, line=(*others, *kept))
