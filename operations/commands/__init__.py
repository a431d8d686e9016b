"""The operators' commands of `fillrate`. It finds them here, in a checkout: see client/fillrate/cli/checkout.py."""

from __future__ import annotations

import typer

from operations.commands import keys, kill_switch, limits, pools, record, redrive

app = typer.Typer()
for command in (kill_switch.halt, kill_switch.resume, redrive.redrive):
    app.command()(command)
app.command()(record.audit)
app.command()(record.approve)
app.command("approvals")(record.show_approvals)
for name, group in (("pools", pools.app), ("keys", keys.app), ("limits", limits.app)):
    app.add_typer(group, name=name)
