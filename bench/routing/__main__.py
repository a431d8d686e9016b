"""`python -m bench.routing`: what routing gains over the best single pool, and how long a plan takes."""

from __future__ import annotations

import argparse

from bench.machine import machine
from bench.routing.gains import gains
from bench.routing.plans import plan_times
from bench.routing.report import chart, page
from bench.written import Written

ROUNDS = 15


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.routing", description="What routing gains and takes.")
    Written.add_option(parser)
    options = parser.parse_args()
    found = gains()
    text = page(found, plan_times(ROUNDS), machine())
    print(text)
    Written(options.record).write({"routing.md": text, "routing.svg": chart(found)})


if __name__ == "__main__":
    main()
