"""What is checked of the never-twice protocol: the promises, the protocol as it is, the mistakes to be found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).with_name("never_twice.pml")


@dataclass(frozen=True, slots=True)
class Promise:
    """`broken` finds the assertion in what SPIN prints of it when it fails, after the model's macros are replaced."""

    name: str
    broken: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Check:
    """The model with these macros defined. `breaks`: the promise that must be found broken; None where all must hold.

    The figures are measured, and stand in docs/reliability.md.
    """

    name: str
    macros: tuple[str, ...]
    breaks: str | None = None


# In this order: the first that is found is the one that broke.
PROMISES = (
    Promise("at most one swap", re.compile(r"swaps<=1")),
    Promise("stored before sent", re.compile(r"\.stored")),
    Promise("nothing signed after the deadline", re.compile(r"\.late==0")),
    Promise("no floor lowered", re.compile(r"floor<=")),
    Promise("one holder of the lease", re.compile(r"nth==0")),
    Promise("one redrive", re.compile(r"redriven==0")),
    Promise("nothing sent after the end", re.compile(r"former\[")),
    Promise("no change of what was triggered", re.compile(r"trigger!=2")),
    Promise("a stop's trigger is for good", re.compile(r"stopped_out")),
    Promise("nothing lands after the end", re.compile(r"submission==")),
    Promise("a fill stays", re.compile(r"submission!=")),
    Promise("confirmed is what landed", re.compile(r"\.place>0")),
    Promise("only legal transitions", re.compile(r"0==1")),
    Promise("terminal is final", re.compile(r"state==")),
)

RIGHT = (
    Check("today's chain", ()),
    Check("a lease that runs out while the transaction is watched", ("WATCH_LEASE", "ATTEMPTS=1", "REDRIVES=1")),
    Check("today's chain, redriven by two operators at once", ("REDRIVES=2", "ATTEMPTS=1", "TIP=1")),
    Check("an order that waits for a price", ("WAITS", "ATTEMPTS=2", "TIP=1")),
    Check("tower", ("TOWER", "ATTEMPTS=1")),
    Check("tower that drops confirmed blocks", ("TOWER", "DROPS_CONFIRMED", "ATTEMPTS=1", "REDRIVES=1", "DEADLINE=0")),
)
# For `make test`: as small as it can be with two workers.
QUICK = Check("today's chain, one attempt", ("ATTEMPTS=1", "TIP=1", "DEADLINE=1"))

MISTAKES = (
    Check("put back to wait while it may land", ("WAITS", "PUT_BACK_WHILE_IT_MAY_LAND"), "nothing lands after the end"),
    Check("a change of what was triggered", ("WAITS", "CHANGES_WHAT_IS_TRIGGERED"), "no change of what was triggered"),
    Check("a stop that forgets its trigger", ("WAITS", "STOP_IS_FORGOTTEN"), "a stop's trigger is for good"),
    Check("sent before it is stored", ("SENT_BEFORE_STORED",), "stored before sent"),
    Check(
        "expiry by an unfinalized height",
        ("EXPIRY_BY_AN_UNFINALIZED_HEIGHT",),
        "nothing lands after the end",
    ),
    Check("expiry counted in slots", ("EXPIRY_IN_SLOTS",), "nothing lands after the end"),
    Check("searched before the height is asked", ("SEARCHED_BEFORE_THE_HEIGHT", "DEADLINE=0"), "at most one swap"),
    Check("a lagging node's ignorance believed", ("LAGGARD_BELIEVED", "DEADLINE=0"), "at most one swap"),
    Check("a node without history believed", ("FORGETFUL_BELIEVED", "DEADLINE=0"), "at most one swap"),
    Check("a takeover that builds anew", ("TAKEOVER_BUILDS_ANEW",), "nothing lands after the end"),
    Check("a lease shorter than a worker's life", ("LEASE_SHORTER_THAN_LIFE",), "one holder of the lease"),
    Check("rebuilt as another version after a refused send", ("REBUILT_AFTER_A_REFUSED_SEND",), "at most one swap"),
    Check("a refused send ends the attempt", ("REFUSED_SEND_ENDS_THE_ATTEMPT",), "nothing lands after the end"),
    Check("a write that doesn't look whether it is stale", ("UNCONDITIONAL_WRITE",), "terminal is final"),
    Check("a cancel that ignores a stored signature", ("CANCEL_IGNORES_A_SIGNATURE",), "nothing sent after the end"),
    Check("the deadline ends an order that may land", ("EXPIRED_WHILE_IT_MAY_LAND",), "nothing sent after the end"),
    Check("no deadline where it is signed", ("NO_DEADLINE_WHERE_IT_IS_SIGNED",), "nothing signed after the deadline"),
    Check("a floor from each quote", ("FLOOR_FROM_EACH_QUOTE",), "no floor lowered"),
    Check(
        "an undecided order is redriven",
        ("REDRIVES_AN_UNDECIDED_ORDER", "REDRIVES=1", "ATTEMPTS=1", "DEADLINE=0", "TIP=1"),
        "nothing sent after the end",
    ),
    Check("redriven under a key of each operator's own", ("REDRIVEN_UNDER_ANY_KEY", "REDRIVES=2"), "one redrive"),
    Check(
        "a failure believed before it is final, where confirmed blocks are dropped",
        ("FAILURE_BEFORE_FINALITY", "TOWER", "DROPS_CONFIRMED"),
        "nothing lands after the end",
    ),
    # not a mistake of the protocol's but the limit of the old rules: see docs/reliability.md
    Check(
        "a fill read at confirmed, where confirmed blocks are dropped",
        ("FILL_IS_FINAL", "TOWER", "DROPS_CONFIRMED"),
        "a fill stays",
    ),
)


def transitions() -> set[tuple[str, str, str]]:
    """The model's table: from which state, by which event, to which; states and events by their names in states.py."""
    row = re.compile(r":: state == (\w+) && what == (\w+) -> state = (\w+)")
    return {(before, event.upper(), after) for before, event, after in row.findall(MODEL.read_text())}
