"""`doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import typer
from rich.text import Text
from websockets.sync.client import connect as connect_socket

from fillrate.cli import checkout
from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.findings import Finding, Verdict
from fillrate.cli.options import JsonFlag, connect
from fillrate.cli.output import Output
from fillrate.cli.plain_words import words_for
from fillrate.client import Fillrate
from fillrate.configuration import nearest_stack, working_directory
from fillrate.conversation import SocketFailed
from fillrate.errors import ConfigurationError, FillrateError, NoAnswer, NotFound, Unreachable
from fillrate.transport import SOCKET_OPEN_SECONDS, USER_AGENT, socket_errors, socket_proxy

_NODE = "the Solana node: `make logs` shows the local one, docs/runbook.md (rpc-errors) has what to do about others"
_WORKERS = "the workers: `make logs` and docs/runbook.md (oldest-message) say why none comes; no order is lost"
# By the name of the part in GET /health, and by the kind that a reason of its `degraded` begins with.
_REMEDIES = {
    "solana": _NODE,
    "no node": _NODE,
    "pools": "`fillrate pools list` shows them; `fillrate pools discover PAIR --add N` adds some",
    "no pools": "`fillrate pools list` shows them; `fillrate pools discover PAIR --add N` adds some",
    "orders": "the orders table: `make up` starts and deploys the local stack again; else docs/runbook.md",
    "overdue": _WORKERS,
    "queue": _WORKERS,
    "halt": "the control table: `make up` starts and deploys the local stack again; else docs/runbook.md",
    "halted": "`fillrate resume` lets orders through again; `fillrate halt --status` says who stopped them and why",
    "looks": "docs/runbook.md (looks-late) says what to do; new orders trade all the same",
}
# The kinds that are told of a part which doesn't answer, where they have another name than it.
_PART_OF = {"no node": "solana", "no pools": "pools"}
_OTHERWISE = "docs/runbook.md lists what can be wrong, with what to do"
_MARKS = {Verdict.OK: ("✓", "green"), Verdict.NOTE: ("·", "yellow"), Verdict.WRONG: ("✗", "bold red")}


def doctor(context: typer.Context, as_json: JsonFlag = False) -> int:
    """What is wrong here, and what to do about it: this checkout, the local stack, the service, the key, the pushes."""
    output = Output(as_json=as_json)
    found = [*_of_checkout(), *_of_service(context)]
    wrong = sum(one.verdict is Verdict.WRONG for one in found)
    if as_json:
        output.json({"ok": not wrong, "findings": [one._asdict() for one in found]})
    else:
        width = max(len(one.part) for one in found)
        for one in found:
            mark, style = _MARKS[one.verdict]
            output.show(Text.assemble((mark, style), f" {printable(one.part):<{width}}  {printable(one.seen)}"))
            if one.remedy:
                output.line(f"  {'':<{width}}  → {printable(one.remedy)}")
        output.line("nothing is wrong" if not wrong else f"{wrong} wrong", style="green" if not wrong else "bold red")
    return ExitCode.ERROR if wrong else ExitCode.OK


def _of_checkout() -> Iterator[Finding]:
    root = checkout.nearest()
    if root is None:
        yield Finding("checkout", Verdict.NOTE, "none here: only the service is looked at")
        return
    try:
        examine = checkout.examination(root)
    except ImportError as error:
        remedy = f"`make up` in {root}, then {root}/.venv/bin/fillrate doctor"
        yield Finding("packages", Verdict.WRONG, f"{root} can't be examined by this Python: {error}", remedy)
        return
    for part, verdict, seen, remedy in examine(root):
        yield Finding(part, Verdict(verdict), seen, remedy)


def _of_service(context: typer.Context) -> Iterator[Finding]:
    try:
        client = connect(context)
    except ConfigurationError as error:
        yield Finding("service", Verdict.WRONG, str(error), "see above, or `fillrate --help` for --url and --api-key")
        return
    with closing(client):
        yield from _where(client)
        try:
            health = client.health()
        except (Unreachable, NoAnswer, FillrateError) as error:
            yield _refused("service", error)
            return
        verdict = Verdict.OK if health.is_ok else Verdict.WRONG
        yield Finding(
            "service", verdict, f"{client.configuration.url} is {health.status}", "" if health.is_ok else _OTHERWISE
        )
        yield from _parts(health.to_json())
        yield from _key(client)
        yield from _pushes(client)


def _where(client: Fillrate) -> Iterator[Finding]:
    """A stack that runs here, and commands that go elsewhere."""
    try:
        stack = nearest_stack(working_directory())
    except ConfigurationError:
        return
    if stack is not None and client.configuration.url != stack["restUrl"].rstrip("/"):
        seen = f"commands go to {client.configuration.url}, not to the local stack here ({stack['restUrl']})"
        yield Finding(
            "address", Verdict.NOTE, seen, "unset FILLRATE_URL, or leave --url out, to talk to the local stack"
        )


def _parts(health: dict[str, Any]) -> Iterator[Finding]:
    """Each part that doesn't answer, and besides these each reason why a new order would not trade."""
    silent = {
        part: check
        for part, check in health.get("checks", {}).items()
        if isinstance(check, dict) and not check.get("ok")
    }
    for part, check in silent.items():
        yield Finding(part, Verdict.WRONG, f"says {check.get('error', check)}", _REMEDIES.get(part, _OTHERWISE))
    for reason in map(str, health.get("degraded", ())):
        kind, _, words = reason.partition(": ")
        if _PART_OF.get(kind, kind) not in silent:
            yield Finding(kind, Verdict.WRONG, words or reason, _REMEDIES.get(kind, _OTHERWISE))


def _key(client: Fillrate) -> Iterator[Finding]:
    try:
        next(client.orders(page_size=1), None)
    except FillrateError as error:
        yield _refused("API key", error)
        return
    has_key = client.configuration.api_key is not None
    yield Finding("API key", Verdict.OK, "accepted" if has_key else "none, and none is asked for")


def _pushes(client: Fillrate) -> Iterator[Finding]:
    """Whether a WebSocket can be opened: commands poll where none can, and are slower to tell."""
    try:
        url = client.ws_ticket().ws_url
    except NotFound as error:
        yield Finding("pushes", Verdict.NOTE, f"{error}: commands poll", "nothing is to be done")
        return
    except FillrateError as error:
        yield _refused("pushes", error)
        return
    host = urlsplit(url).netloc
    try:
        proxy = socket_proxy(url)
        with (
            socket_errors(),
            connect_socket(url, open_timeout=SOCKET_OPEN_SECONDS, user_agent_header=USER_AGENT, proxy=proxy),
        ):
            pass
    except SocketFailed as error:
        remedy = "let WebSockets through to that host (a proxy, a firewall); until then commands poll"
        yield Finding("pushes", Verdict.WRONG, f"no WebSocket to {host}: {error}", remedy)
        return
    yield Finding("pushes", Verdict.OK, f"by WebSocket from {host}")


def _refused(part: str, error: FillrateError) -> Finding:
    words = words_for(error.code)
    return Finding(part, Verdict.WRONG, str(error), (words.advice if words else "") or _OTHERWISE)
