"""The schemas of the service's documents, as code is made of them: no stack has to run for it."""

from __future__ import annotations

from chalicelib.contract import asyncapi, openapi
from chalicelib.contract.json_schema import Json

# The schemas are the same wherever the service is.
_ANYWHERE = "wss://fillrate.example/api"


def schemas() -> Json:
    """Every schema of the HTTP API's and of the WebSocket's document, by name."""
    messages = asyncapi.document(_ANYWHERE)["components"]["schemas"]
    answers = openapi.document(key_optional=False)["components"]["schemas"]
    return dict(sorted({**messages, **answers}.items()))


def schema_document() -> Json:
    """The same as an OpenAPI document of schemas alone."""
    document = openapi.document(key_optional=False)
    return {
        "openapi": document["openapi"],
        "info": document["info"],
        "paths": {},
        "components": {"schemas": schemas()},
    }
