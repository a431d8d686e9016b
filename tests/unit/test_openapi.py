"""The OpenAPI document describes what is served: every route, every answer, every request that is taken or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

import app
from chalicelib import problems
from chalicelib.amounts import to_base_units, to_ppm
from chalicelib.contract.openapi import document
from chalicelib.contract.requests import OrderListRequest, OrderRequest, parse_body, parse_query, validate
from chalicelib.problems import InvalidRequest
from tests.openapi_contract import described, validator

Json = dict[str, Any]

PAGE = {"/", "/assets/{name}"}  # for people


def media() -> Iterator[tuple[str, Json]]:
    """Every content in JSON that the document describes, by where it stands."""
    for path, item in described()["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            for status, response in operation["responses"].items():
                for kind, content in response.get("content", {}).items():
                    if kind != "text/csv":
                        yield f"{method} {path} {status}", content
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{method} {path}", content
    for status, response in described()["components"]["responses"].items():
        for content in response["content"].values():
            yield status, content


def examples() -> Iterator[tuple[str, str, Json]]:
    """(where, schema, example)"""
    for where, content in media():
        found = [each["value"] for each in content.get("examples", {}).values()]
        for example in [*found, *([content["example"]] if "example" in content else [])]:
            yield where, content["schema"]["$ref"], example


def test_it_is_a_valid_openapi_3_1_document() -> None:
    errors = list(OpenAPIV31SpecValidator(document(key_optional=False)).iter_errors())
    assert errors == []


def test_it_is_plain_json_and_the_same_each_time() -> None:
    assert json.loads(json.dumps(described())) == document(key_optional=True)


def test_it_describes_every_route_of_the_api_and_no_other() -> None:
    served = {
        (path.replace("{order_id}", "{orderId}"), method.lower())
        for path, methods in app.app.routes.items()
        if path not in PAGE
        for method in methods
    }
    told = {(path, method) for path, item in described()["paths"].items() for method in item if method != "parameters"}
    assert told == served


def test_each_operation_has_a_name_of_its_own_and_an_answer_that_is_none_of_a_failure() -> None:
    operations = [item[method] for item in described()["paths"].values() for method in item if method != "parameters"]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(any(status.startswith("2") for status in operation["responses"]) for operation in operations)


def test_every_status_of_the_problem_tree_is_described() -> None:
    def statuses(error: type[problems.FillrateError]) -> set[int]:
        return {error.http_status}.union(*map(statuses, error.__subclasses__()))

    assert {str(status) for status in statuses(problems.FillrateError)} <= described()["components"]["responses"].keys()


def test_every_kind_of_problem_that_a_client_may_meet_has_an_example() -> None:
    told = {example["type"] for _, schema, example in examples() if schema.endswith("/Problem")}
    assert {
        f"urn:fillrate:problem:{kind}"
        for kind in (
            *("invalid-request", "unauthorized", "not-found", "conflict", "backlogged", "no-pool", "amount-too-small"),
            *("insufficient-liquidity", "rpc-unavailable", "submission-unknown"),
        )
    } <= told


@pytest.mark.parametrize(("where", "schema", "example"), list(examples()))
def test_every_example_is_as_its_schema_says(where: str, schema: str, example: Json) -> None:
    errors = list(validator(schema).iter_errors(example))
    assert errors == [], where


def test_every_content_but_the_document_itself_has_an_example() -> None:
    named = {where for where, _, _ in examples()}
    assert {where for where, _ in media()} - named == {
        "get /openapi.json 200",
        "get /asyncapi.json 200",
        "403",
        "415",
        "500",
    } - named


def test_answers_that_tell_when_to_come_again_say_so() -> None:
    for status in ("429", "503"):
        assert "Retry-After" in described()["components"]["responses"][status]["headers"]


def test_a_key_is_asked_for_wherever_one_is_needed_and_only_a_stage_without_says_it_is_optional() -> None:
    open_to_all = {"/health", "/openapi.json", "/asyncapi.json"}
    key: Json = {"apiKey": []}
    for optional, expected in ((False, [key]), (True, [key, {}])):
        for path, item in document(key_optional=optional)["paths"].items():
            for method, operation in item.items():
                if method != "parameters":
                    assert operation["security"] == ([] if path in open_to_all else expected), path


JUNK = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)
FIELDS = {
    "type": st.sampled_from(["market", "limit"]) | JUNK,
    "tokenIn": st.sampled_from(["SOL", "x" * 45, ""]) | JUNK,
    "tokenOut": st.sampled_from(["USDC"]) | JUNK,
    "amount": st.sampled_from(["1", "1e3", ".5", "0x1", "1 ", "NaN", "1" * 65]) | JUNK | st.floats(0, 10),
    "slippage": st.sampled_from(["0.01", "-", "1%"]) | JUNK,
    "extra": JUNK,
}


def take(body: bytes) -> None:
    """All that is asked of an order's body, for a token of nine decimals."""
    request = validate(OrderRequest, parse_body(body))
    to_base_units(request.amount, 9, "amount")
    to_ppm(request.slippage, "slippage")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_what_the_order_schema_refuses_is_refused(body: Json) -> None:
    """The other way round it is not so: that the token has no such decimals no schema can say."""
    if any(validator("#/components/schemas/OrderRequest").iter_errors(body)):
        with pytest.raises(InvalidRequest):
            take(json.dumps(body).encode())


@given(st.fixed_dictionaries({}, optional={name: st.text(max_size=6) | st.sampled_from(["5", "confirmed"]) for name in
    ("status", "tokenIn", "limit", "cursor", "extra")}))  # fmt: skip
def test_what_the_listings_parameters_refuse_is_refused(query: dict[str, str]) -> None:
    parameters = {one["name"]: one["schema"] for one in described()["paths"]["/orders"]["get"]["parameters"]}

    def refuses(name: str, text: str) -> bool:
        schema = parameters.get(name)
        if schema is None:
            return True
        if schema.get("type") == "integer":
            return not (text.isascii() and text.isdecimal() and schema["minimum"] <= int(text) <= schema["maximum"])
        return any(validator_of(schema, text))

    if any(refuses(name, text) for name, text in query.items()):
        with pytest.raises(InvalidRequest):
            validate(OrderListRequest, parse_query(query))


def validator_of(schema: Json, value: object) -> Iterator[object]:
    yield from Draft202012Validator(schema).iter_errors(value)
