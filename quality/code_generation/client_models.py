"""The client's models of what the service answers, as Python source, made of the service's own schemas.

What a model can do beside holding its fields is written by hand in client/fillrate/models.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from pydantic.alias_generators import to_snake

from chalicelib.contract.domain_fields import AMOUNT_PATTERN, FRACTION_PATTERN, SIGNED_PATTERN
from chalicelib.contract.json_schema import SCHEMAS, Json

# The client's word for each schema that it reads; what these name beside them is called there as it is here.
CLASS_NAMES = {
    "Status": "Status",
    "RouteLeg": "Leg",
    "Leftover": "Leftover",
    "HistoryStep": "StepFields",
    "StatusMessage": "StatusEventFields",
    "ListedOrder": "OrderFields",
    "AcceptedOrder": "AcceptedFields",
    "PoolName": "PoolName",
    "PoolOffer": "PoolOffer",
    "RouteFee": "Fee",
    "Quote": "Quote",
    "QuoteErrorMessage": "NoQuote",
    "ListedToken": "Token",
    "Health": "HealthFields",
    "WsTicket": "Ticket",
    "CancelledOrders": "CancelledOrders",
    "FillList": "FillList",
    "BalanceList": "BalanceList",
}
# What an answer may lack although the documents promise it, with what stands for it: other versions are understood too.
_MAY_LACK: Mapping[str, Mapping[str, str]] = {
    "HistoryStep": {"retryCount": "0"},
    "StatusMessage": {"retryCount": "0"},
    "AcceptedOrder": {"wsUrl": "None", "wsPath": "None"},
    "Quote": {
        **dict.fromkeys(("priceImpact", "slot", "at", "ageMs"), "None"),
        **dict.fromkeys(("route", "fees", "quotes"), "()"),
    },
    "QuoteErrorMessage": dict.fromkeys(
        ("type", "tokenIn", "tokenOut", "amount", "slippage", "title", "status"), "None"
    ),
    "ListedToken": {"tokenProgram": "None"},
    "Health": {"stage": "None", "degraded": "()", "checks": "Field(default_factory=dict)"},
    "WsTicket": {"wsPath": "None", "expiresAt": "None"},
}
_HEAD = '''"""What the service's answers hold, field by field.

Made by `make models` from the service's own documents; not edited by hand.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from fillrate.model import Amount, Json, Model, Time
'''
_INDENT = " " * 4
_LINE_LENGTH = 120


def source(schemas: Json) -> str:
    """The whole file, for the documents' `schemas` by name."""
    named = {name for known in CLASS_NAMES for name in _named_by(schemas[known], schemas)}
    classes = ["\n".join(_class(name, schemas[name])) for name in (*sorted(named - CLASS_NAMES.keys()), *CLASS_NAMES)]
    return "\n\n".join([_HEAD, *(f"{each}\n" for each in classes)])


def _named_by(schema: object, schemas: Json) -> Iterator[str]:
    """The schemas that this one's properties are of, and those that these name."""
    match schema:
        case {"$ref": str(reference)}:
            name = reference.removeprefix(SCHEMAS)
            yield name
            yield from _named_by(schemas[name], schemas)
        case dict():
            for key, part in schema.items():
                if key != "additionalProperties":  # such an object is plain JSON to the client
                    yield from _named_by(part, schemas)
        case list():
            for part in schema:
                yield from _named_by(part, schemas)


def _class_name(schema: str) -> str:
    return CLASS_NAMES.get(schema, schema)


def _class(name: str, schema: Json) -> Iterator[str]:
    if "enum" in schema:
        yield f"class {_class_name(name)}(StrEnum):"
        yield from (f'{_INDENT}{value.upper()} = "{value}"' for value in schema["enum"])
        return
    yield f"class {_class_name(name)}(Model):"
    yield from _docstring(schema.get("description", ""))
    required, may_lack = schema.get("required", ()), _MAY_LACK.get(name, {})
    always = [each for each in schema["properties"] if each in required and each not in may_lack]
    for each in (*always, *(other for other in schema["properties"] if other not in always)):
        default = None if each in always else may_lack.get(each, "None")
        yield f"{_INDENT}{_field(each, _type(schema['properties'][each]), default)}"


def _field(name: str, kind: str, default: str | None) -> str:
    if default == "None" and not kind.endswith("| None"):
        kind += " | None"
    return f"{to_snake(name)}: {kind}{'' if default is None else f' = {default}'}"


def _docstring(text: str) -> Iterator[str]:
    if not text:
        return
    if len(whole := f'{_INDENT}"""{text}"""') <= _LINE_LENGTH:
        yield whole
    else:
        first, *rest = textwrap.wrap(text, _LINE_LENGTH - len(_INDENT) - 3)
        yield from (f'{_INDENT}"""{first}', *(_INDENT + line for line in rest), f'{_INDENT}"""')
    yield ""


def _type(schema: Json) -> str:
    """A property's type. Raises LookupError for a form that no schema has had yet."""
    match schema:
        case {"$ref": str(reference)}:
            return _class_name(reference.removeprefix(SCHEMAS))
        case {"anyOf": [one, {"type": "null"}]}:
            return f"{_type(one)} | None"
        case {"type": "array", "items": item}:
            return f"tuple[{_type(item)}, ...]"
        case {"type": "object"}:
            return "Json"
        case {"type": "string", "format": "date-time"}:
            return "Time"
        case {"type": "string", "pattern": pattern} if pattern in (AMOUNT_PATTERN, FRACTION_PATTERN, SIGNED_PATTERN):
            return "Amount"
        case {"type": "string"}:
            return "str"
        case {"type": "integer"}:
            return "int"
        case {"type": "boolean"}:
            return "bool"
    raise LookupError(f"there is no type for {schema}")
