"""What all of the service's answers have in common: exact Decimals of whole tokens, aware datetimes, camelCase names.

Fields that a newer service adds are kept, and `to_json` gives them back.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


def _plain(number: Decimal) -> str:
    return f"{number:f}"  # str() would write 0.0000001 as 1E-7


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Amount = Annotated[Decimal, PlainSerializer(_plain, return_type=str, when_used="json")]
Time = Annotated[datetime, PlainSerializer(_time_text, return_type=str, when_used="json")]


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="allow")

    def to_json(self) -> Json:
        """The service's own JSON: camelCase names, decimal strings, RFC 3339 times."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
