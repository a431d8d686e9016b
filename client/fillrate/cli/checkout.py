"""What operators' commands need of the project's own code: they deploy and keep it, so they run in a checkout of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from fillrate.cli.exit_codes import CommandError, ExitCode
from fillrate.configuration import nearest_stack

_DENIED = ("AccessDenied", "UnrecognizedClient", "InvalidClientToken", "SignatureDoesNotMatch", "ExpiredToken")

StageOption = Annotated[
    str | None, typer.Option(metavar="STAGE", help="local, localstack or prod; the running local stack if not given.")
]
EndpointOption = Annotated[
    str | None, typer.Option(metavar="URL", envvar="AWS_ENDPOINT_URL", help="An emulator's address.")
]
RegionOption = Annotated[str | None, typer.Option(metavar="REGION", envvar="AWS_REGION")]


def module(name: str) -> Any:
    """A module of the checkout around the current directory. Raises CommandError."""
    root = _root()
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return import_module(name)
    except ImportError as error:
        raise CommandError(
            "NOT_INSTALLED", f"{name} can't be loaded ({error}): run this with the checkout's own .venv/bin/fillrate"
        ) from error


def target(stage: str | None, endpoint_url: str | None, region: str | None) -> Any:
    """Where the stage is deployed, as infra.deploy has it. Raises CommandError."""
    deploy = module("infra.deployment.deploy")
    if stage is None:
        stack = nearest_stack(Path.cwd())
        if stack is None:
            raise CommandError("NO_STAGE", "no local stack runs here: start it with `make up`, or name a --stage")
        stage, endpoint_url = "local", endpoint_url or stack["awsEndpoint"]
    if stage not in deploy.STAGES:
        raise CommandError("USAGE", f"--stage is one of {', '.join(deploy.STAGES)}", ExitCode.USAGE)
    with refusals():
        return deploy.target_for(stage, endpoint_url, region)


@contextmanager
def refusals(*others: type[Exception]) -> Iterator[None]:
    """AWS's errors, and those of the project's own modules, `others` among them, as CommandErrors."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    deploy = module("infra.deployment.deploy")
    try:
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
    except (ValueError, deploy.DeployError, *others) as error:
        raise CommandError("REFUSED", str(error), ExitCode.REJECTED) from error


def _root() -> Path:
    """The current directory's checkout, else the one that this package is installed from."""
    for place in (Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents):
        if (place / "infra" / "deploy.py").is_file() and (place / "chalicelib").is_dir():
            return place
    raise CommandError("NO_CHECKOUT", "this command works in a checkout of Fillrate only: change into one")
