"""The kill switch: `python -m infra.halt halt|resume|status [--account NAME] [--reason TEXT]`.

Within a second of `halt` no new transaction leaves: workers look at it before each attempt and again before they store
what they signed. Orders that come meanwhile end `failed`, `HALTED`; a transaction that was stored before is carried to
its fate. `resume` lets new orders through; those that ended stay so.
"""

import argparse
import time

from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.risk.halt import Halt
from chalicelib.times import time_text
from operations.control import add_scope_options, add_target_options, run, scope_of

MAX_REASON = 200


def halt(table: ControlTable, scope: str, reason: str) -> str:
    """Throw the switch. Raises ValueError where the reason is too long."""
    if len(reason) > MAX_REASON:
        raise ValueError(f"--reason is longer than {MAX_REASON} characters")
    return described(scope, table.halt(scope, reason, time.time_ns() // 1_000_000))


def resume(table: ControlTable, scope: str) -> str:
    was = table.resume(scope)
    return f"{scope}: resumed" if was else f"{scope}: was not halted"


def described(scope: str, thrown: Halt | None) -> str:
    if thrown is None:
        return f"{scope}: not halted"
    return f"{scope}: halted since {time_text(thrown.since_ms)}{f': {thrown.reason}' if thrown.reason else ''}"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m infra.halt", description="Halt and resume executions.")
    parser.add_argument("command", choices=("halt", "resume", "status"))
    parser.add_argument("--reason", default="", help="told in the orders' errors and by status")
    add_scope_options(parser, defaults=False)
    add_target_options(parser)
    options = parser.parse_args(arguments)
    scope = scope_of(options)

    def command(table: ControlTable) -> str:
        match options.command:
            case "halt":
                return halt(table, scope, options.reason)
            case "resume":
                return resume(table, scope)
            case _:
                return described(scope, table.halt_in(scope))

    return run(parser.prog, options, command)


if __name__ == "__main__":
    raise SystemExit(main())
