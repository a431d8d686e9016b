"""Which stage a command is for, and what its refusals mean for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from fillrate.cli.exit_codes import CommandError, ExitCode
from fillrate.configuration import nearest_stack

from chalicelib import problems
from chalicelib.access.key_administration import UnfitKey
from operations.errors import OperationError, UnfitOption
from operations.target import Stage, Target, endpoint_of_the_environment, target_of

_DENIED = ("AccessDenied", "UnrecognizedClient", "InvalidClientToken", "SignatureDoesNotMatch", "ExpiredToken")

StageOption = Annotated[Stage | None, typer.Option(help="The running local stack's if not given.", show_choices=True)]
EndpointOption = Annotated[
    str | None, typer.Option(metavar="URL", help="An emulator's address; but for `local`, AWS_ENDPOINT_URL too.")
]
RegionOption = Annotated[str | None, typer.Option(metavar="REGION", envvar="AWS_REGION")]
NodeOption = Annotated[
    str | None,
    typer.Option("--rpc-url", metavar="URL", envvar="SOLANA_RPC_URL", help="A Solana node; else the stage's own."),
]
AccountOption = Annotated[str | None, typer.Option(metavar="NAME", help="Of one account; else of all together.")]


def find_target(stage: Stage | None, endpoint_url: str | None, region: str | None) -> Target:
    """Where the stage is; without a stage, the local one: at `endpoint_url`, or where the nearest `make up` runs it.

    Raises CommandError where none runs, NoStage.
    """
    endpoint_url = endpoint_url or endpoint_of_the_environment(stage or "local")
    stack = nearest_stack(Path.cwd())
    if stack is None and stage is None and endpoint_url is None:
        raise CommandError("NO_STAGE", "no local stack runs here: start it with `make up`, or name a --stage")
    return target_of(stack, stage or "local", endpoint_url, region)


@contextmanager
def usage() -> Iterator[None]:
    """An option that can't be is a wrong command line, and nothing has been asked yet."""
    try:
        yield
    except UnfitOption as error:
        raise CommandError("USAGE", str(error), ExitCode.USAGE) from error


@contextmanager
def refusals() -> Iterator[None]:
    """The errors of AWS, of the operations and of the service's own code, as CommandErrors."""
    try:
        with _as_aws_said_it():
            yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        denied = code.startswith(_DENIED)
        raise CommandError(
            "AWS_DENIED" if denied else "AWS_REFUSED",
            f"AWS refused: {error}",
            ExitCode.UNAUTHORIZED if denied else ExitCode.REJECTED,
        ) from error
    except NoCredentialsError as error:
        raise CommandError("AWS_DENIED", f"no AWS credentials: {error}", ExitCode.UNAUTHORIZED) from error
    except BotoCoreError as error:
        raise CommandError("AWS_UNREACHABLE", f"AWS can't be reached: {error}", ExitCode.UNAVAILABLE) from error
    except problems.TransientError as error:
        raise CommandError(error.code, str(error), ExitCode.UNAVAILABLE) from error
    except (OperationError, UnfitKey, problems.FillrateError, ValueError) as error:
        raise CommandError("REFUSED", str(error), ExitCode.REJECTED) from error


@contextmanager
def _as_aws_said_it() -> Iterator[None]:
    """The service's errors keep AWS's own words from its clients; its operators may read them."""
    try:
        yield
    except problems.AwsError as error:
        raise (error.__cause__ or error) from None
