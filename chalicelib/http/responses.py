"""Use cases' answers as Chalice responses; every error leaves as RFC 9457 problem details, none as a stack trace."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from chalice.app import Request, Response

from chalicelib.contract.views import problem_json
from chalicelib.http.web_page import serve
from chalicelib.log import logger
from chalicelib.metrics import Metric, note
from chalicelib.problems import (
    AwsUnavailable,
    ExecutionError,
    FillrateError,
    NotFound,
    RequestError,
    SubmissionUnknown,
)
from chalicelib.settings import settings

JSON = "application/json"
CSV = "text/csv; charset=utf-8"  # RFC 7111
PROBLEM_JSON = "application/problem+json"


def answer(
    use_case: Callable[[], tuple[int, dict[str, Any]] | tuple[int, dict[str, Any] | str, Mapping[str, str]]],
) -> Response:
    """Run a use case, which may tell headers too; whatever it raises becomes a problem response.

    A body that is text is comma-separated values.
    """
    try:
        status, body, *headers = use_case()
    except (RequestError, ExecutionError, SubmissionUnknown) as error:
        return _refusal(error)
    except Exception as error:  # noqa: BLE001
        # the boundary: the client learns that it isn't its fault, the log learns the rest
        logger.exception("request failed")
        if isinstance(error, AwsUnavailable):
            return _refusal(error)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The request failed on our side; it may be sent again.")
    if isinstance(body, str):
        response = Response(body=body, status_code=status, headers={"Content-Type": CSV})
    else:
        response = _response(status, body, JSON)
    for more in headers:
        response.headers.update(more)
    return response


def page(request: Request, name: str) -> Response:
    """A file of the page; a problem where there is no such file."""
    query: Mapping[str, str] = request.query_params or {}
    try:
        served = serve(name, query.get("v"), request.headers, settings().websocket_url)
    except NotFound as error:
        return _refusal(error)
    return Response(body=served.body, status_code=served.status, headers=dict(served.headers))


def problem(status: int, detail: str) -> Response:
    """A problem that has no error type of its own."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return _response(status, body, PROBLEM_JSON)


def as_problem(response: Response) -> Response:
    """An error that the framework itself answered (wrong method, wrong media type), in the contract's form."""
    is_ours = response.headers.get("Content-Type") in (JSON, PROBLEM_JSON)  # GET /health has a 503 of its own
    if is_ours or response.status_code < HTTPStatus.BAD_REQUEST:
        return response
    detail = response.body.get("Message", "") if isinstance(response.body, dict) else ""
    ours = problem(response.status_code, detail)
    ours.headers.update({name: value for name, value in response.headers.items() if name.lower() != "content-type"})
    return ours


def guarded(response: Response, *, over_tls: bool) -> Response:
    """The response with what keeps browsers and proxies from storing it, guessing its type, or asking without TLS."""
    guards = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if over_tls:
        guards["Strict-Transport-Security"] = "max-age=31536000"
    for name, value in guards.items():
        response.headers.setdefault(name, value)
    return response


def with_header(response: Response, name: str, value: str) -> Response:
    """The response with one more header, where there is something to tell."""
    if value:
        response.headers[name] = value
    return response


def _refusal(error: FillrateError) -> Response:
    logger.info("refused", code=error.code, status=error.http_status)
    if error.http_status == HTTPStatus.TOO_MANY_REQUESTS:
        note(Metric.RATE_LIMITED, code=error.code)
    response = _response(error.http_status, problem_json(error), PROBLEM_JSON)
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _response(status: int, body: dict[str, Any], content_type: str) -> Response:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    # what a client wrote may hold half a character, which UTF-8 has no form for
    text = text.encode(errors="replace").decode()
    return Response(body=text, status_code=int(status), headers={"Content-Type": content_type})
