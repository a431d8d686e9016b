"""Every error leaves as problem details (RFC 9457), and none with a word of our insides."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chalice.app import Response

from chalicelib.http.responses import JSON, PROBLEM_JSON, answer, as_problem, problem
from chalicelib.problems import (
    AwsError,
    Conflict,
    FieldProblem,
    FillrateError,
    InsufficientLiquidity,
    InvalidRequest,
    NotFound,
    PermanentError,
    RpcUnavailable,
    TransientError,
    Unauthorized,
)


def answer_to(error: Exception) -> Response:
    def use_case() -> tuple[int, dict[str, Any]]:
        raise error

    return answer(use_case)


def test_a_use_cases_answer_is_json_with_its_status() -> None:
    response = answer(lambda: (202, {"orderId": "1", "amount": "10"}))
    assert (response.status_code, response.headers) == (202, {"Content-Type": JSON})
    assert json.loads(response.body) == {"orderId": "1", "amount": "10"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest([FieldProblem("amount", "is required")]), 400),
        (Unauthorized("no key"), 401),
        (NotFound("no order"), 404),
        (Conflict("too late"), 409),
        (InsufficientLiquidity("too much"), 422),
        (RpcUnavailable("no answer"), 503),
    ],
)
def test_each_of_our_errors_is_a_problem_of_its_own_status(error: FillrateError, status: int) -> None:
    response = answer_to(error)
    body = json.loads(response.body)
    assert (response.status_code, response.headers["Content-Type"]) == (status, PROBLEM_JSON)
    assert (body["status"], body["title"], body["detail"]) == (status, error.title, str(error))
    assert body["type"].startswith("urn:fillrate:problem:")


def test_only_what_another_attempt_may_mend_and_what_aws_did_not_do_is_a_5xx() -> None:
    """A 5xx tells a client to send the same request again."""

    def subclasses(kind: type[FillrateError]) -> list[type[FillrateError]]:
        return [kind, *(one for child in kind.__subclasses__() for one in subclasses(child))]

    for kind in subclasses(FillrateError)[1:]:
        assert (kind.http_status >= 500) == issubclass(kind, TransientError | AwsError), kind
    assert PermanentError.http_status == 422


@pytest.mark.parametrize("error", [ZeroDivisionError("at secret-table"), KeyError("secret"), RuntimeError("secret")])
def test_a_surprise_is_a_500_that_tells_nothing_of_what_it_was(error: Exception) -> None:
    response = answer_to(error)
    assert (response.status_code, response.headers["Content-Type"]) == (500, PROBLEM_JSON)
    assert json.loads(response.body)["status"] == 500
    assert "secret" not in response.body
    assert type(error).__name__ not in response.body
    assert "Traceback" not in response.body


def test_what_is_no_exception_of_a_program_is_let_through() -> None:
    class Killed(BaseException):
        pass

    with pytest.raises(Killed):
        answer_to(Killed())  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [403, 405, 415, 500])
def test_the_frameworks_own_errors_are_put_into_the_same_form(status: int) -> None:
    made = Response({"Code": "SomeError", "Message": "in words"}, status_code=status, headers={"Allow": "GET"})
    response = as_problem(made)
    body = json.loads(response.body)
    assert (response.status_code, response.headers["Content-Type"]) == (status, PROBLEM_JSON)
    assert (body["type"], body["status"], body["detail"]) == ("about:blank", status, "in words")
    assert response.headers["Allow"] == "GET"


@pytest.mark.parametrize("body", ["text", None, [], {"Message": "m"}])
def test_whatever_body_a_framework_error_has_it_becomes_a_problem(body: Any) -> None:
    response = as_problem(Response(body, status_code=400, headers={"content-type": "text/plain"}))
    assert json.loads(response.body)["title"] == "Bad Request"
    assert [name for name in response.headers if name.lower() == "content-type"] == ["Content-Type"]


def test_answers_and_problems_pass_as_they_are() -> None:
    """Also an answer that tells of something wrong in its own words, as GET /health does."""
    unwell = answer(lambda: (503, {"status": "unavailable"}))
    for response in (answer(lambda: (200, {})), unwell, problem(404, "x"), Response("", status_code=301)):
        assert as_problem(response) is response
