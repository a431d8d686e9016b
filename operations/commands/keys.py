"""`keys create|list|rotate|revoke`: an account's API keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from fillrate.cli.display import printable
from fillrate.cli.exit_codes import ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

from chalicelib.access.key_administration import (
    DEFAULT_GRACE_MINUTES,
    DEFAULT_RATE_PER_MINUTE,
    KeyAdministration,
    NewKey,
)
from chalicelib.access.keys import ApiKey
from chalicelib.times import time_text
from operations import keys
from operations.commands.stage import EndpointOption, RegionOption, StageOption, find_target, refusals, usage
from operations.target import Stage

app = typer.Typer(no_args_is_help=True, help="API keys of accounts.")

KeyArgument = Annotated[str, typer.Argument(metavar="KEY_ID", help="As `fillrate keys list` shows it.")]


@app.command("create")
def create_key(
    account: Annotated[str, typer.Option(help="Whose orders it sees and places.")],
    scopes: Annotated[str, typer.Option(help="Of read, trade and admin, separated by commas.")] = "read,trade",
    rate_per_minute: Annotated[
        int, typer.Option(min=1, help="At most so many requests a minute.")
    ] = DEFAULT_RATE_PER_MINUTE,
    label: Annotated[str, typer.Option(help="A note, such as who has it.")] = "",
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Make a key. It is shown now, and never again."""
    with usage():
        wanted = keys.scopes(scopes)
    with refusals():
        administration = _administration(stage, endpoint_url, region)
        new = administration.create(account, wanted, rate_per_minute=rate_per_minute, label=label)
    return _show_new(Output(as_json=as_json), new)


@app.command("list")
def list_keys(
    account: Annotated[str | None, typer.Option(help="Of this account alone.")] = None,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """The keys, without what they are; ended ones too."""
    output = Output(as_json=as_json)
    with refusals():
        found = [_facts(key) for key in _administration(stage, endpoint_url, region).list(account)]
    if as_json:
        output.json(found)
        return ExitCode.OK
    table = output.table("key id", "account", "scopes", "a minute", "until", "label", right=["a minute"])
    for key in found:
        until = key.get("validUntil", "–")
        row = (key["keyId"], key["account"], ",".join(key["scopes"]), key["ratePerMinute"], until, key["label"])
        table.add_row(*map(printable, row))
    output.show(table)
    return ExitCode.OK


@app.command("rotate")
def rotate_key(
    key_id: KeyArgument,
    grace_minutes: Annotated[
        int, typer.Option(min=0, help="How long the old key stays valid; 0 ends it at once.")
    ] = DEFAULT_GRACE_MINUTES,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Make a new key in place of an old one, which stays valid for a while."""
    with refusals():
        new = _administration(stage, endpoint_url, region).rotate(key_id, grace_minutes)
    return _show_new(Output(as_json=as_json), new)


@app.command("revoke")
def revoke_key(
    key_id: KeyArgument,
    cancel_orders: Annotated[
        bool, typer.Option("--cancel-orders", help="Cancel its open orders, where no transaction is on its way.")
    ] = False,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """End a key: its next request is refused, and so are its open orders, before anything of them is signed."""
    output = Output(as_json=as_json)
    with refusals():
        target = find_target(stage, endpoint_url, region)
        key = _facts(keys.administration(target).revoke(key_id))
        orders = keys.open_orders(target, key_id, cancelling=cancel_orders)
    if as_json:
        output.json({**key, "cancelledOrders": list(orders.cancelled), "openOrders": list(orders.left)})
        return ExitCode.OK
    output.line(f"{printable(key['keyId'])} is revoked", style="green")
    output.line(f"{len(orders.cancelled)} of its orders cancelled, {len(orders.left)} open")
    if orders.left:
        refused = "one with a transaction on its way is carried to its end, any other is refused by its worker"
        output.line(f"  {refused}{'' if cancel_orders else '; --cancel-orders cancels those now'}", style="dim")
    return ExitCode.OK


def _administration(stage: Stage | None, endpoint_url: str | None, region: str | None) -> KeyAdministration:
    return keys.administration(find_target(stage, endpoint_url, region))


def _show_new(output: Output, new: NewKey) -> int:
    """The key alone on stdout, so that it can be piped to where it is kept."""
    facts = _facts(new.key)
    if output.as_json:
        output.json({**facts, "key": new.secret})
    else:
        output.note(f"key {printable(facts['keyId'])} of {printable(facts['account'])}, shown this once:")
        output.line(new.secret)
    return ExitCode.OK


def _facts(key: ApiKey) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "keyId": key.key_id,
        "account": key.account,
        "scopes": sorted(key.scopes),
        "ratePerMinute": key.rate_per_minute,
        "createdAt": time_text(key.created_at_ms),
        "label": key.label,
    }
    return facts if key.valid_until_ms is None else {**facts, "validUntil": time_text(key.valid_until_ms)}
