"""From the engine as deployed to one that carries a load: what binds is changed, one limit after the other."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

from bench.scaling.limits import Change, Limits, change_for
from bench.scaling.simulation import Outcome, Profile, Simulation, capacities

_MOST_STEPS = 25


@dataclass(frozen=True, slots=True)
class Step:
    """One run: what came of it, which limit bound, and what is changed for the next. None: nothing, it carries."""

    outcome: Outcome
    binding: str | None
    change: Change | None


def steps_to(per_minute: float, minutes: float, profile: Profile, seed: int) -> tuple[list[Step], Limits]:
    """The runs until the load is carried, or until no change of ours helps; and the limits of the last."""
    limits = Limits()
    steps: list[Step] = []
    while len(steps) < _MOST_STEPS:
        outcome = Simulation(profile, limits, seed).run(per_minute, minutes)
        if outcome.healthy(unloaded_seconds(profile)):
            return [*steps, Step(outcome, None, None)], limits
        binding = _binding(per_minute, profile, limits, outcome)
        change = change_for(binding, limits, per_minute)
        steps.append(Step(outcome, binding, change))
        if change is None or change.apply(limits) == limits:
            break
        limits = change.apply(limits)
    return steps, limits


def unloaded_seconds(profile: Profile) -> float:
    """From placed to confirmed for an order that is alone, on average."""
    return mean(profile.api) + mean(profile.worker)


def _binding(per_minute: float, profile: Profile, limits: Limits, outcome: Outcome) -> str:
    """The limit that lets the fewest orders through, if these are too few; else the one that was most in the way.

    (Who waits for a slow node holds a worker meanwhile: by the waits alone, workers would seem to be what lacks.)
    """
    lowest, most = min(capacities(profile, limits).items(), key=lambda entry: entry[1])
    return lowest if most < per_minute else outcome.in_the_way()
