"""What the product says in its log: a message and fields, through the standard library's logger `fillrate`. Pure.

Nothing is set up here: telemetry.py makes the logger write JSON lines, one key a field. So whoever only computes loads
no framework to be able to tell what happened.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

NAME = "fillrate"

# What all lines carry for now. A thread carries what its starter did if it runs in a copy of its context.
_NOTHING: Mapping[str, object] = MappingProxyType({})
_carried: ContextVar[Mapping[str, object]] = ContextVar("carried", default=_NOTHING)

_OF_LOGGING = ("exc_info", "stack_info", "stacklevel")


class Log(logging.LoggerAdapter[logging.Logger]):
    """`log.info("order accepted", order_id=…)`. No field may have the name of a LogRecord's own attribute."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        passed_on = {name: kwargs.pop(name) for name in _OF_LOGGING if name in kwargs}
        return msg, {**passed_on, "extra": {**_carried.get(), **kwargs}}


logger = Log(logging.getLogger(NAME))


@contextmanager
def context(**fields: object) -> Iterator[None]:
    """What every line within carries too."""
    token = _carried.set({**_carried.get(), **fields})
    try:
        yield
    finally:
        _carried.reset(token)


def carried(name: str) -> object:
    """What every line carries under `name` now; None where they carry no such field."""
    return _carried.get().get(name)
