"""`python -m bench.scaling`: which limits bind at 10, 1,000 and 100,000 orders a minute, and what to change."""

from __future__ import annotations

import argparse
import sys

from bench.cost.measuring import Measurement
from bench.scaling.report import chart, page
from bench.scaling.search import steps_to
from bench.scaling.simulation import Profile, Simulation
from bench.written import Written

# Orders a minute, and for how many minutes they come in a run.
LOADS = {10: 30.0, 1_000: 5.0, 100_000: 0.5}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description="Which limits bind, and when.")
    parser.add_argument("--seed", type=int, default=1)
    Written.add_option(parser)
    options = parser.parse_args()
    written = Written(options.record)
    measured = written.latest("cost.json")
    if not measured.exists():
        print(f"{measured} is missing: run `python -m bench.cost` first", file=sys.stderr)
        return 1
    counted = Measurement.load(measured)
    profile = Profile.of(counted)
    found, cold = {}, {}
    for per_minute, minutes in LOADS.items():
        found[per_minute] = steps_to(per_minute, minutes, profile, options.seed)
        steps, limits = found[per_minute]
        for step in steps:
            print(f"{per_minute:,} a minute: {step.binding or 'carried'}", file=sys.stderr)
        cold[per_minute] = Simulation(profile, limits, options.seed, cold=True).run(per_minute, minutes)
    told = page(counted, profile, found, cold)
    written.write({"scaling.md": told, "scaling.svg": chart(profile, tuple(LOADS))})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
