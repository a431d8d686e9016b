"""AWS out of order, injected below botocore's retries: each request that a client sends may meet a fault.

The service is moto, so that "the request went through and its answer was lost" is what it says.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum, auto
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from moto.core.models import botocore_stubber

# As the product's clients are (chalicelib/composition.py).
PRODUCT_CONFIG = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 4}, parameter_validation=False
)
ATTEMPTS = 4
# No service of moto's: what is sent there was taken care of.
_NOWHERE = "http://nowhere.invalid/"


class Fault(Enum):
    """What becomes of one HTTP request to AWS."""

    THROTTLED = auto()
    OVER_CAPACITY = auto()
    SERVER_ERROR = auto()
    UNREACHABLE = auto()
    # the service did it, but
    ANSWER_LOST = auto()
    ANSWERED_WITH_500 = auto()


NOTHING_DONE = [Fault.THROTTLED, Fault.OVER_CAPACITY, Fault.SERVER_ERROR, Fault.UNREACHABLE]
DONE_UNTOLD = [Fault.ANSWER_LOST, Fault.ANSWERED_WITH_500]
Chooser = Callable[[str], Fault | None]

_ERRORS = {
    Fault.THROTTLED: (400, "ThrottlingException"),
    Fault.OVER_CAPACITY: (400, "ProvisionedThroughputExceededException"),
    Fault.SERVER_ERROR: (500, "InternalServerError"),
    Fault.ANSWERED_WITH_500: (500, "InternalServerError"),
}


class FaultyAws:
    """The faults of one or more clients. `choose` is asked for each request by its operation's name."""

    def __init__(self, *clients: Any) -> None:
        self.choose: Chooser = lambda operation: None
        self.met: Counter[Fault] = Counter()
        for client in clients:
            service = client.meta.service_model.service_id.hyphenize()
            client.meta.events.register_first(f"before-send.{service}", self._before_send)

    def script(self, operation: str, *faults: Fault | None) -> None:
        """The next requests of `operation` meet these, one each; None is none. All others meet none."""
        left: Iterator[Fault | None] = iter(faults)
        self.choose = lambda asked: next(left, None) if asked == operation else None

    def always(self, fault: Fault, *operations: str) -> None:
        """From now on every request of these operations, of all where none is named, meets `fault`."""
        self.choose = lambda asked: fault if not operations or asked in operations else None

    def end(self) -> None:
        self.choose = lambda operation: None

    def _before_send(self, request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse | None:
        fault = self.choose(event_name.rpartition(".")[2])
        if fault is None:
            return None
        self.met[fault] += 1
        if fault in DONE_UNTOLD:
            assert botocore_stubber(event_name, request) is not None, "moto did not serve it"
        if fault is Fault.UNREACHABLE:
            raise EndpointConnectionError(endpoint_url=request.url)
        if fault is Fault.ANSWER_LOST:
            raise ReadTimeoutError(endpoint_url=request.url)
        request.url = _NOWHERE  # else moto, which is asked next, would do it as well
        return _error(*_ERRORS[fault])


def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's pauses between its attempts take no time."""
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))


def _error(status: int, code: str) -> AWSResponse:
    body = json.dumps({"__type": f"com.amazonaws#{code}", "message": "injected"}).encode()
    return AWSResponse(_NOWHERE, status, {"Content-Type": "application/x-amz-json-1.0"}, _Body(body))  # type: ignore[arg-type]


class _Body(BytesIO):
    """A body as AWSResponse reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk
