"""Everything that can go wrong with a call, as one tree, split by what the caller can do about it.

FillrateError
├── ConfigurationError      no usable URL or key: nothing was sent
├── Unreachable             the service could not be connected to: nothing was sent
├── NoAnswer                a request was sent, and no answer came
├── UnexpectedAnswer        what answered is not Fillrate, or not a version that this client knows
├── SubmissionUnknown       an order may or may not have been placed; the same Idempotency-Key settles it
├── NotEnded                an order was still open when the time to follow it was over
└── Problem                 the service refused, with RFC 9457 problem details
    ├── InvalidRequest      400, with the fields that are wrong
    ├── Unauthorized        401: no valid API key
    ├── Forbidden           403: the key lacks a scope
    ├── NotFound            404
    ├── Conflict            409
    ├── CannotExecute       422: no pool, too little liquidity, beyond a limit …; `code` says which
    ├── TooManyRequests     429
    └── ServiceUnavailable  5xx
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field of a request and what to do about it."""

    field: str
    message: str


class FillrateError(Exception):
    """Root of all errors of this package. `code` is stable and fit for programs."""

    code = "ERROR"


class ConfigurationError(FillrateError):
    code = "NOT_CONFIGURED"


class Unreachable(FillrateError):
    code = "UNREACHABLE"


class NoAnswer(FillrateError):
    code = "NO_ANSWER"


class UnexpectedAnswer(FillrateError):
    code = "UNEXPECTED_ANSWER"


class SubmissionUnknown(FillrateError):
    """Send the same order with the same `idempotency_key`: that gives the first order, or places it, never twice."""

    code = "SUBMISSION_UNKNOWN"

    def __init__(self, idempotency_key: str, cause: FillrateError) -> None:
        super().__init__(
            f"it is not known whether the order was placed ({cause}); "
            f"sent again with the Idempotency-Key {idempotency_key} it can't become a second one"
        )
        self.idempotency_key = idempotency_key


class NotEnded(FillrateError):
    """The order goes on; only the watching has ended."""

    code = "NOT_ENDED"

    def __init__(self, order_id: str, seconds: float) -> None:
        super().__init__(f"order {order_id} has not ended after {seconds:g} s; it goes on")
        self.order_id = order_id


class Problem(FillrateError):
    """The service's own refusal. `retry_after` is in seconds, None where waiting does not help."""

    code = "REFUSED"

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        code: str | None = None,
        fields: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.title = title
        self.detail = detail
        self.fields = fields
        self.retry_after = retry_after
        # False where the service has no code of its own for this, or one that leaves open what has happened.
        self.is_certain = code not in (None, "INTERNAL", "SUBMISSION_UNKNOWN")
        self.code = code or type(self).code


class InvalidRequest(Problem):
    code = "INVALID_REQUEST"


class Unauthorized(Problem):
    code = "UNAUTHORIZED"


class Forbidden(Problem):
    code = "FORBIDDEN"


class NotFound(Problem):
    code = "NOT_FOUND"


class Conflict(Problem):
    code = "CONFLICT"


class CannotExecute(Problem):
    code = "EXECUTION_FAILED"


class TooManyRequests(Problem):
    code = "TOO_MANY_REQUESTS"


class ServiceUnavailable(Problem):
    code = "SERVICE_UNAVAILABLE"


PROBLEM_OF_STATUS: dict[int, type[Problem]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: CannotExecute,
    429: TooManyRequests,
}
