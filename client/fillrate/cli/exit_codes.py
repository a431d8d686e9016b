"""What a command ends with, for scripts. The table in docs/cli.md says the same."""

from __future__ import annotations

from enum import IntEnum

from fillrate.errors import (
    ConfigurationError,
    FillrateError,
    Forbidden,
    NoAnswer,
    NotEnded,
    Problem,
    ServiceUnavailable,
    SubmissionUnknown,
    TooManyRequests,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from fillrate.models import Order, Status, Step


class ExitCode(IntEnum):
    OK = 0
    ERROR = 1  # what none of the others tells
    USAGE = 2
    REJECTED = 3  # the service refused the request: 4xx
    UNAUTHORIZED = 4  # 401, 403
    UNAVAILABLE = 5  # not reachable, unwell, or asked too often
    TIMEOUT = 6  # the order goes on, only the watching ended
    FAILED = 7  # the order failed
    CANCELLED = 8  # the order was cancelled
    UNKNOWN = 9  # it isn't known whether the order was placed
    INTERRUPTED = 130


class CommandError(FillrateError):
    """A command that the service has no part in can't be carried out."""

    def __init__(self, code: str, detail: str, exit_code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__(detail)
        self.code = code
        self.exit_code = exit_code


_OF_ERRORS: tuple[tuple[type[FillrateError], ExitCode], ...] = (
    (ConfigurationError, ExitCode.UNAVAILABLE),
    (Unreachable, ExitCode.UNAVAILABLE),
    (NoAnswer, ExitCode.UNAVAILABLE),
    (ServiceUnavailable, ExitCode.UNAVAILABLE),
    (TooManyRequests, ExitCode.UNAVAILABLE),
    (UnexpectedAnswer, ExitCode.UNAVAILABLE),
    (Unauthorized, ExitCode.UNAUTHORIZED),
    (Forbidden, ExitCode.UNAUTHORIZED),
    (NotEnded, ExitCode.TIMEOUT),
    (SubmissionUnknown, ExitCode.UNKNOWN),
    (Problem, ExitCode.REJECTED),
)


def of_error(error: FillrateError) -> ExitCode:
    if isinstance(error, CommandError):
        return error.exit_code
    return next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), ExitCode.ERROR)


def of_outcome(ended: Order | Step) -> ExitCode:
    """By how an order ended."""
    return {Status.CONFIRMED: ExitCode.OK, Status.CANCELLED: ExitCode.CANCELLED}.get(ended.status, ExitCode.FAILED)
