"""What luck finds: random splits, each climbed uphill. It knows nothing of how the product searches."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from chalicelib.routing.outlet import Outlet

# A climb begins with steps of this part of the input, each a quarter of the one before.
_FIRST_STEP, _SHORTER = 4, 4
# So many exchanges are tried with each step, per leg; without a gain the step is made shorter.
_TRIES_PER_LEG = 2


def best_of_random_splits(
    outlets: Sequence[Outlet], amount: int, max_legs: int, leg_cost: int, splits: int, seed: int = 0
) -> int:
    """What the best of so many splits is worth: its output, less `leg_cost` for each leg but one.

    Half of them begin anywhere, half near the best that was found so far: some input moved, or a leg given to another
    outlet. All are climbed by exchanges between two legs, down to single units.
    """
    dice = Random(seed)
    able = [index for index, outlet in enumerate(outlets) if outlet.room(amount)]
    best: dict[int, int] = {}
    worth = -1
    for number in range(splits):
        fresh = not best or number % 2 == 0
        parts = _anywhere(dice, able, amount, max_legs) if fresh else _nearby(dice, best, able, amount)
        if (found := _climbed(dice, outlets, parts, amount, leg_cost)) is not None and found > worth:
            best, worth = parts, found
    return worth


def _anywhere(dice: Random, able: Sequence[int], amount: int, max_legs: int) -> dict[int, int]:
    chosen = dice.sample(able, dice.randint(1, min(max_legs, len(able))))
    weights = [dice.expovariate(1) for _ in chosen]
    parts = {index: int(amount * weight / sum(weights)) for index, weight in zip(chosen, weights, strict=True)}
    parts[chosen[0]] += amount - sum(parts.values())
    return {index: part for index, part in parts.items() if part}


def _nearby(dice: Random, best: dict[int, int], able: Sequence[int], amount: int) -> dict[int, int]:
    parts = dict(best)
    unused = [index for index in able if index not in parts]
    if unused and dice.random() < 1 / 3:
        taken = dice.choice(list(parts))
        parts[dice.choice(unused)] = parts.pop(taken)
        return parts
    for index in list(parts):
        other = dice.choice(list(parts))
        moved = min(int(amount * 10 ** dice.uniform(-12, -1)), parts[index] - 1)
        if other != index and moved > 0:
            parts[index] -= moved
            parts[other] += moved
    return parts


def _climbed(dice: Random, outlets: Sequence[Outlet], parts: dict[int, int], amount: int, leg_cost: int) -> int | None:
    """Climb `parts` in place; what they are worth then, None where a leg would be refused."""
    paid = {index: outlets[index].paid(part) for index, part in parts.items()}
    legs = list(parts)
    step = amount // _FIRST_STEP
    while step and len(legs) > 1:
        gained = False
        for _ in range(_TRIES_PER_LEG * len(legs)):
            giver, taker = dice.sample(legs, 2)
            if parts[giver] <= step:
                continue
            less, more = outlets[giver].paid(parts[giver] - step), outlets[taker].paid(parts[taker] + step)
            if less + more > paid[giver] + paid[taker]:
                parts[giver] -= step
                parts[taker] += step
                paid[giver], paid[taker] = less, more
                gained = True
        if not gained:
            step //= _SHORTER
    total = sum(paid.values())
    return total - leg_cost * (len(legs) - 1) if total > 0 and min(paid.values()) > 0 else None
