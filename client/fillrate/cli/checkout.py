"""The operators' commands. They are not part of this package but of a checkout of Fillrate, which they look after.

Here are their names, and the one way to them. Nothing of a checkout is imported before one of them is run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand

from fillrate.cli.exit_codes import CommandError
from fillrate.configuration import working_directory
from fillrate.errors import FillrateError

# A directory that has this file is a checkout.
_MARK = Path("operations") / "commands" / "__init__.py"
_EXAMINATION = "infra.local_stack.examination"


class CheckoutCommand(NamedTuple):
    """`module` has a typer app `app` with the command; `help` is the command's own first sentence."""

    module: str
    help: str


COMMANDS = {
    "halt": CheckoutCommand(
        "operations.commands",
        "Stop new executions within a second. Transactions that are out are carried to their end.",
    ),
    "resume": CheckoutCommand(
        "operations.commands",
        "Let new orders through again. Those that were refused stay so; `redrive` sends dead letters back.",
    ),
    "redrive": CheckoutCommand(
        "operations.commands", "Send dead letters back: a new order for each that failed, however often this is run."
    ),
    "audit": CheckoutCommand(
        "operations.commands",
        "Who changed keys, limits, halts, pools, webhooks or wallets, when, and from what to what.",
    ),
    "approve": CheckoutCommand("operations.commands", "Carry out what another operator proposed."),
    "approvals": CheckoutCommand("operations.commands", "What needs a second operator, and what waits for one."),
    "bench": CheckoutCommand(
        "bench.command",
        "Time quotes on this machine, without any service; takes half a minute. `make bench` also writes them down.",
    ),
    "pools": CheckoutCommand("operations.commands", "The pools that a stage trades on."),
    "keys": CheckoutCommand("operations.commands", "API keys of accounts."),
    "limits": CheckoutCommand("operations.commands", "What orders may amount to."),
}


class FromCheckout(TyperCommand):
    """Stands for a command of the checkout in the list of commands, and makes place for it when it is run."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The checkout's command's own. Raises CommandError where there is no checkout that has it."""
        try:
            command = load(self.name or "")
        except FillrateError:
            if extra.get("resilient_parsing"):  # a shell asks for completions: it must not be answered with an error
                return super().make_context(info_name, args, parent, **extra)
            raise
        return command.make_context(info_name, args, parent, **extra)


def load(name: str) -> Any:
    """The checkout's command. Raises CommandError where there is no checkout, or not all that it needs."""
    root = _root(name)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        app: typer.Typer = import_module(COMMANDS[name].module).app
    except ImportError as error:
        detail = f"`fillrate {name}` lacks a package here ({error}): run {root}/.venv/bin/fillrate, made by `make up`"
        raise CommandError("NOT_INSTALLED", detail) from error
    return typer.main.get_group(app).commands[name]


def nearest() -> Path | None:
    """The current directory's checkout, else the one that this package is installed from, else None."""
    here = working_directory()
    for place in (here, *here.parents, *Path(__file__).resolve().parents):
        if (place / _MARK).is_file():
            return place
    return None


def examination(root: Path) -> Callable[[Path], Iterable[tuple[str, str, str, str]]]:
    """What looks at the checkout `root` for `fillrate doctor`: each result is a Finding. Raises ImportError."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    examine: Callable[[Path], Iterable[tuple[str, str, str, str]]] = import_module(_EXAMINATION).examine
    return examine


def _root(name: str) -> Path:
    root = nearest()
    if root is None:
        raise CommandError(
            "NO_CHECKOUT",
            f"`fillrate {name}` is a command of Fillrate's own checkout: change into one, after `make up` there",
        )
    return root
