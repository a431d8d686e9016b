"""Holds real answers to the OpenAPI document: what isn't described there may not be answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from chalicelib.contract.openapi import document

Json = dict[str, Any]


@cache
def described() -> Json:
    return document(key_optional=True)


@cache
def validator(reference: str) -> Draft202012Validator:
    """A validator for one part of the document, such as `#/components/schemas/Quote`."""
    return Draft202012Validator({"$ref": reference, "components": described()["components"]})


def operation_of(method: str, path: str) -> Json | None:
    """The described operation that a request meets; None for a request that has no route."""
    plain = path.partition("?")[0]
    for template, item in sorted(described()["paths"].items(), key=lambda entry: "{" in entry[0]):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain):
            operation: Json | None = item.get(method.lower())
            return operation
    return None


def check_answer(method: str, path: str, status: int, headers: Mapping[str, str], body: object) -> None:
    """Raises AssertionError unless the document describes this answer to this request."""
    operation = operation_of(method, path)
    if operation is None:
        return
    assert str(status) in operation["responses"], f"{method} {path} answers {status}, which is not described"
    response = operation["responses"][str(status)]
    if "$ref" in response:
        response = described()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    media_type = {name.lower(): value for name, value in headers.items()}["content-type"].partition(";")[0]
    assert media_type in response["content"], f"{method} {path} answers {status} in {media_type}"
    schema = response["content"][media_type]["schema"]
    if schema == {"type": "string"}:
        return
    errors = list(validator(schema["$ref"]).iter_errors(body))
    assert not errors, f"{method} {path} answers {status}, but {errors[0].instance_path}: {errors[0].message}"
