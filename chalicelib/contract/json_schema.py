"""JSON schemas of our models, as the OpenAPI and the AsyncAPI document have them: by name, without titles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

Json = dict[str, Any]
# Both documents keep their schemas here.
SCHEMAS = "#/components/schemas/"
# What a response model's class is called beyond its schema's name: `QuoteModel` is the documents' `Quote`.
MODEL_SUFFIX = "Model"


class PublishedSchema(GenerateJsonSchema):
    """Schemas by their published names, without titles, which would only repeat them."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name).removesuffix(MODEL_SUFFIX)


def schemas_of(models: Iterable[tuple[str, JsonSchemaMode, Any]]) -> Json:
    """The schemas of `models` (name, as input or as output, the type) and of what they name, by name."""
    inputs = [(name, mode, TypeAdapter(model)) for name, mode, model in models]
    _, schema = TypeAdapter.json_schemas(inputs, ref_template=SCHEMAS + "{model}", schema_generator=PublishedSchema)
    definitions: Json = schema["$defs"]
    for definition in definitions.values():
        definition.pop("title", None)
    return dict(sorted(definitions.items()))
