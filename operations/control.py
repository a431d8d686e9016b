"""Where a stage's control table is: limits and kill switches are set there by the operator, and by no function."""

import argparse
import os
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws.dynamodb.control_table import DEFAULT, ControlTable
from chalicelib.risk.counters import GLOBAL, account_scope
from chalicelib.risk.limits import defaults_for
from infra.deployment.deploy import STAGES, DeployError, Target, target_for


def control_table(target: Target) -> ControlTable:
    """The stage's control table. Raises botocore's errors: no such stack among them."""
    stacks = target.client("cloudformation").describe_stacks(StackName=f"fillrate-{target.stage}-data")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
    return ControlTable(target.client("dynamodb"), outputs["ControlTable"], defaults_for(target.stage))


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Which stage, and where it runs."""
    parser.add_argument("--stage", choices=STAGES, default="local")
    parser.add_argument("--endpoint-url", default=os.environ.get("AWS_ENDPOINT_URL"), help="an emulator's address")
    parser.add_argument("--region", default=os.environ.get("AWS_REGION"))


def add_scope_options(parser: argparse.ArgumentParser, *, defaults: bool) -> None:
    """Whose limits or kill switch; of all accounts together if none is named."""
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--account", help="one account's (default: of all accounts together)")
    if defaults:
        scope.add_argument("--default", action="store_true", help="of accounts that have none of their own")


def scope_of(options: argparse.Namespace) -> str:
    """The scope that the command line names."""
    if options.account is not None:
        return account_scope(options.account)
    return DEFAULT if getattr(options, "default", False) else GLOBAL


def run(program: str, options: argparse.Namespace, command: Callable[[ControlTable], str]) -> int:
    """Run a command on the stage's control table and print what it says; returns the exit code."""
    try:
        print(command(control_table(target_for(options.stage, options.endpoint_url, options.region))))
    except (ClientError, BotoCoreError, DeployError, ValueError) as error:
        raise SystemExit(f"{program}: {error}") from None
    return 0
