"""`keys create|list|rotate|revoke`: an account's API keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fillrate.cli import checkout
from fillrate.cli.checkout import EndpointOption, RegionOption, StageOption
from fillrate.cli.display import printable
from fillrate.cli.exit_codes import CommandError, ExitCode
from fillrate.cli.options import JsonFlag
from fillrate.cli.output import Output

app = typer.Typer(no_args_is_help=True, help="API keys of accounts (an operator's, in a checkout).")

KeyArgument = Annotated[str, typer.Argument(metavar="KEY_ID", help="As `fillrate keys list` shows it.")]


@app.command("create")
def create_key(
    account: Annotated[str, typer.Option(help="Whose orders it sees and places.")],
    scopes: Annotated[str, typer.Option(help="Of read, trade and admin, parted by commas.")] = "read,trade",
    rate_per_minute: Annotated[int | None, typer.Option(min=1, help="At most so many requests a minute.")] = None,
    label: Annotated[str, typer.Option(help="A note, such as who has it.")] = "",
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Make a key. It is shown now, and never again."""
    limits = {} if rate_per_minute is None else {"rate_per_minute": rate_per_minute}
    with _refusals():
        keys = _administration(stage, endpoint_url, region)
        new = keys.create(account, _scopes(scopes), label=label, **limits)
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
    with _refusals():
        keys = [_facts(key) for key in _administration(stage, endpoint_url, region).list(account)]
    if as_json:
        output.json(keys)
        return ExitCode.OK
    table = output.table("key id", "account", "scopes", "a minute", "until", "label", right=["a minute"])
    for key in keys:
        until = key.get("validUntil", "–")
        row = (key["keyId"], key["account"], ",".join(key["scopes"]), key["ratePerMinute"], until, key["label"])
        table.add_row(*map(printable, row))
    output.show(table)
    return ExitCode.OK


@app.command("rotate")
def rotate_key(
    key_id: KeyArgument,
    grace_minutes: Annotated[
        int | None, typer.Option(min=0, help="How long the old key stays valid; 0 ends it at once. [default: 10]")
    ] = None,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """Make a new key in place of an old one, which stays valid for a while."""
    grace = [] if grace_minutes is None else [grace_minutes]
    with _refusals():
        new = _administration(stage, endpoint_url, region).rotate(key_id, *grace)
    return _show_new(Output(as_json=as_json), new)


@app.command("revoke")
def revoke_key(
    key_id: KeyArgument,
    stage: StageOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    as_json: JsonFlag = False,
) -> int:
    """End a key: its next request is refused."""
    output = Output(as_json=as_json)
    with _refusals():
        key = _facts(_administration(stage, endpoint_url, region).revoke(key_id))
    if as_json:
        output.json(key)
    else:
        output.line(f"{printable(key['keyId'])} is revoked", style="green")
    return ExitCode.OK


def _administration(stage: str | None, endpoint_url: str | None, region: str | None) -> Any:
    target = checkout.target(stage, endpoint_url, region)
    keys = checkout.module("operations.keys")
    return keys.administration(target, keys.access_table(target))


def _refusals() -> Any:
    return checkout.refusals(checkout.module("chalicelib.access.key_administration").UnfitKey)


def _scopes(text: str) -> frozenset[Any]:
    scope = checkout.module("chalicelib.access.keys").Scope
    try:
        return frozenset(scope(name.strip()) for name in text.split(","))
    except ValueError:
        raise CommandError("USAGE", f"--scopes: one or more of {', '.join(scope)}", ExitCode.USAGE) from None


def _show_new(output: Output, new: Any) -> int:
    """The key alone on stdout, so that it can be piped to where it is kept."""
    facts = _facts(new.key)
    if output.as_json:
        output.json({**facts, "key": new.secret})
    else:
        output.note(f"key {printable(facts['keyId'])} of {printable(facts['account'])}, shown this once:")
        output.line(new.secret)
    return ExitCode.OK


def _facts(key: Any) -> dict[str, Any]:
    time_text = checkout.module("chalicelib.times").time_text
    facts = {
        "keyId": key.key_id,
        "account": key.account,
        "scopes": sorted(key.scopes),
        "ratePerMinute": key.rate_per_minute,
        "createdAt": time_text(key.created_at_ms),
        "label": key.label,
    }
    return facts if key.valid_until_ms is None else {**facts, "validUntil": time_text(key.valid_until_ms)}
