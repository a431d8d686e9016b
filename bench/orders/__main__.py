"""`python -m bench.orders`: how long an order takes, how many are carried, what each costs.

On a stack of its own, which talks to this machine's loopback only; stops by itself.
"""

from __future__ import annotations

import argparse
import sys

from bench.machine import machine
from bench.orders.report import page, table
from bench.orders.run import Sizes, run
from bench.written import Written


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.orders", description="How fast and how cheap orders are.")
    parser.add_argument("--orders", type=int, default=60, help="how many are placed one after the other")
    parser.add_argument("--at-once", type=int, default=150, help="how many are placed by many clients at once")
    parser.add_argument("--clients", type=int, default=10, help="how many those are")
    parser.add_argument("--counted", type=int, default=30, help="of how many the calls are counted")
    parser.add_argument("--orders-at-once", type=int, default=10, help="of one account, as infra.deploy has it")
    Written.add_option(parser)
    options = parser.parse_args()
    sizes = Sizes(options.orders, options.at_once, options.clients, options.counted, options.orders_at_once)
    measured = run(sizes, machine(), lambda step: print(step, file=sys.stderr))
    print(table(measured))
    Written(options.record).write({"orders.md": page(measured), "orders.json": measured.to_json()})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
