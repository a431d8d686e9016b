"""`python -m infra.local_stack.emulator`: MiniStack behind its front. Its own settings are environment variables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infra.local_stack.emulator import ministack
from infra.local_stack.emulator.credentials import ensure_credentials


def main() -> int:
    """Serve until SIGTERM. Exit code 1 where the MiniStack that is installed is another one."""
    parser = argparse.ArgumentParser(prog="python -m infra.local_stack.emulator", description="The AWS emulator.")
    add = parser.add_argument
    add("--credentials", type=Path, required=True, metavar="FILE", help="made if it isn't there")
    add("--allow-host", action="append", default=[], metavar="NAME", help="a name of this machine besides localhost")
    options = parser.parse_args()
    try:
        ministack.run(ensure_credentials(options.credentials), options.allow_host)
    except ministack.UnknownEmulatorError as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
