"""API keys: `python -m infra.keys create|list|rotate|revoke --stage …`, with the caller's own AWS credentials."""

import argparse
import os
import secrets
import sys
import time

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.access.key_administration import (
    DEFAULT_GRACE_MINUTES,
    DEFAULT_RATE_PER_MINUTE,
    KeyAdministration,
    NewKey,
    UnfitKey,
)
from chalicelib.access.key_table import KeyTable
from chalicelib.access.keys import ApiKey, Scope
from chalicelib.times import time_text
from infra.deployment.cloudformation import describe, outputs
from infra.deployment.deploy import STAGES, DeployError, Target, target_for


def administration(target: Target, table: str) -> KeyAdministration:
    """What is done with the keys in `table`, with `target`'s credentials."""
    return KeyAdministration(KeyTable(target.client("dynamodb"), table), _now_ms, secrets.token_bytes)


def access_table(target: Target) -> str:
    """The name of the deployed stage's table of keys. Raises DeployError."""
    stack = describe(target.client("cloudformation"), f"fillrate-{target.stage}-data")
    if stack is None:
        raise DeployError(f"stage {target.stage} is not deployed there")
    return outputs(stack)["AccessTable"]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _scopes(text: str) -> frozenset[Scope]:
    try:
        return frozenset(Scope(name.strip()) for name in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"one or more of {', '.join(Scope)}, parted by commas") from None


def command_line() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m infra.keys", description="Fillrate's API keys.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="a new key, shown once")
    create.add_argument("--account", required=True, help="whose orders it sees and places")
    create.add_argument(
        "--scopes", type=_scopes, default=_scopes("read,trade"), help="read, trade, admin (default: read,trade)"
    )
    create.add_argument("--rate-per-minute", type=int, default=DEFAULT_RATE_PER_MINUTE, help="default: %(default)s")
    create.add_argument("--label", default="", help="a note, such as who has it")
    listed = commands.add_parser("list", help="the keys, without what they are")
    listed.add_argument("--account", help="of this account alone")
    rotate = commands.add_parser("rotate", help="a new key in place of an old one, which stays valid for a while")
    rotate.add_argument("key_id", metavar="KEY_ID")
    rotate.add_argument(
        "--grace-minutes",
        type=int,
        default=DEFAULT_GRACE_MINUTES,
        help="how long the old key stays valid (default: %(default)s; 0 ends it at once)",
    )
    commands.add_parser("revoke", help="end a key at once").add_argument("key_id", metavar="KEY_ID")
    for command in commands.choices.values():
        command.add_argument("--stage", choices=STAGES, required=True)
        command.add_argument("--endpoint-url", default=os.environ.get("AWS_ENDPOINT_URL"), help="an emulator's address")
        command.add_argument("--region", default=os.environ.get("AWS_REGION"))
    return parser


def run(options: argparse.Namespace) -> None:
    """Do what the command line asks. Raises UnfitKey, DeployError or boto3's errors."""
    target = target_for(options.stage, options.endpoint_url, options.region)
    keys = administration(target, access_table(target))
    match options.command:
        case "create":
            _show_new(
                keys.create(
                    options.account, options.scopes, rate_per_minute=options.rate_per_minute, label=options.label
                )
            )
        case "list":
            for key in keys.list(options.account):
                print(_line(key))
        case "rotate":
            _show_new(keys.rotate(options.key_id, options.grace_minutes))
            print(f"{options.key_id} stays valid for {options.grace_minutes} minutes", file=sys.stderr)
        case "revoke":
            print(_line(keys.revoke(options.key_id)))


def _show_new(new: NewKey) -> None:
    """The key alone on stdout, so that it can be piped to where it is kept."""
    print(_line(new.key), file=sys.stderr)
    print("the key, shown this once:", file=sys.stderr)
    print(new.secret)


def _line(key: ApiKey) -> str:
    until = "" if key.valid_until_ms is None else f"  until {time_text(key.valid_until_ms)}"
    scopes = ",".join(scope for scope in Scope if scope in key.scopes)
    created = f"created {time_text(key.created_at_ms)}"
    return f"{key.key_id}  {key.account}  {scopes}  {key.rate_per_minute}/min  {created}{until}  {key.label}".rstrip()


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    try:
        run(command_line().parse_args(arguments))
    except (UnfitKey, DeployError) as error:
        print(f"keys: {error}", file=sys.stderr)
        return 1
    except (ClientError, BotoCoreError) as error:
        print(f"keys: AWS refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
