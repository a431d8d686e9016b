"""The states of an order, and what may follow what: the one table `LEGAL`."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    OPEN = "open"
    PENDING = "pending"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Event(StrEnum):
    """What can happen to an order."""

    TRIGGERED = "triggered"
    LATCHED = "latched"  # a stop was triggered and can't be handed over yet
    CHANGED = "changed"  # by its client
    FOLLOWED = "followed"  # a trailing stop followed the price
    RETURNED = "returned"  # it waits for its price again
    QUEUED = "queued"
    ATTEMPT_STARTED = "attempt_started"
    ROUTE_CHOSEN = "route_chosen"
    SIGNED = "signed"
    FILLED = "filled"
    ATTEMPT_FAILED = "attempt_failed"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class State(StrEnum):
    """A status, with `failed` told apart by whether another attempt follows."""

    OPEN = "open"
    PENDING = "pending"
    ROUTING = "routing"
    BUILDING = "building"
    SUBMITTED = "submitted"
    RETRYING = "retrying"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


LEGAL: dict[tuple[State, Event], State] = {
    (State.OPEN, Event.TRIGGERED): State.PENDING,
    (State.OPEN, Event.LATCHED): State.OPEN,
    (State.OPEN, Event.CHANGED): State.OPEN,
    (State.OPEN, Event.FOLLOWED): State.OPEN,
    (State.OPEN, Event.GIVEN_UP): State.FAILED,
    (State.OPEN, Event.CANCELLED): State.CANCELLED,
    (State.OPEN, Event.EXPIRED): State.EXPIRED,
    # a market order's client may change it before its first quote
    (State.PENDING, Event.CHANGED): State.PENDING,
    # an order that waits for a price goes back to it, where no transaction of it can land
    (State.PENDING, Event.RETURNED): State.OPEN,
    (State.ROUTING, Event.RETURNED): State.OPEN,
    (State.BUILDING, Event.RETURNED): State.OPEN,
    (State.SUBMITTED, Event.RETURNED): State.OPEN,
    (State.PENDING, Event.QUEUED): State.PENDING,
    (State.PENDING, Event.ATTEMPT_STARTED): State.ROUTING,
    (State.PENDING, Event.GIVEN_UP): State.FAILED,
    (State.PENDING, Event.CANCELLED): State.CANCELLED,
    (State.PENDING, Event.EXPIRED): State.EXPIRED,
    (State.ROUTING, Event.ROUTE_CHOSEN): State.BUILDING,
    (State.ROUTING, Event.ATTEMPT_FAILED): State.RETRYING,
    (State.ROUTING, Event.GIVEN_UP): State.FAILED,
    (State.ROUTING, Event.CANCELLED): State.CANCELLED,
    (State.ROUTING, Event.EXPIRED): State.EXPIRED,
    (State.BUILDING, Event.SIGNED): State.SUBMITTED,
    (State.BUILDING, Event.ATTEMPT_FAILED): State.RETRYING,
    (State.BUILDING, Event.GIVEN_UP): State.FAILED,
    (State.BUILDING, Event.CANCELLED): State.CANCELLED,
    (State.BUILDING, Event.EXPIRED): State.EXPIRED,
    (State.SUBMITTED, Event.FILLED): State.CONFIRMED,
    (State.SUBMITTED, Event.ATTEMPT_FAILED): State.RETRYING,
    (State.SUBMITTED, Event.GIVEN_UP): State.FAILED,
    # its time is over and its transaction can't land any more; while one may land nobody cancels or expires it
    (State.SUBMITTED, Event.EXPIRED): State.EXPIRED,
    (State.RETRYING, Event.ATTEMPT_STARTED): State.ROUTING,
    (State.RETRYING, Event.GIVEN_UP): State.FAILED,
    (State.RETRYING, Event.CANCELLED): State.CANCELLED,
    (State.RETRYING, Event.EXPIRED): State.EXPIRED,
}

TERMINAL = frozenset({State.CONFIRMED, State.FAILED, State.CANCELLED, State.EXPIRED})

STATUS_OF: dict[State, Status] = {
    State.RETRYING: Status.FAILED,
    **{state: Status(state.value) for state in State if state is not State.RETRYING},
}


class IllegalTransition(Exception):
    """An event that can't happen in this state: a bug, or a writer that worked on an old copy."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event} cannot happen to an order that is {state}")
        self.state = state
        self.event = event
