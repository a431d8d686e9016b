"""Who is at work: what a stage's record says of each change."""

from __future__ import annotations

import getpass
import socket

from operations.target import Target


def identity(target: Target) -> str:
    """The ARN of the AWS identity whose credentials are used; on the local stages, which have none, `user@host`.

    Raises botocore's errors.
    """
    if target.stage == "prod":
        return str(target.client("sts").get_caller_identity()["Arn"])
    return f"{getpass.getuser()}@{socket.gethostname()}"
