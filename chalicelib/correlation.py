"""Which request an invocation works for: one id from the client's request through queue, worker and stream.

A request may bring its own (header `x-correlation-id`); else it is the gateway's id of the request. The order keeps the
id that it was placed with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HEADER = "x-correlation-id"
# Visible ASCII: it comes back in a header and stands in log lines.
_SANE = re.compile(r"[!-~]{1,64}")


def correlation_id_of(headers: Mapping[str, str], context: Mapping[str, Any], invocation: str = "") -> str:
    """The client's id if it is 1 to 64 visible ASCII characters, else the gateway's, else that of the invocation.

    `context` is API Gateway's requestContext. Empty where none of them is sane.
    """
    candidates = (headers.get(HEADER), context.get("requestId"), invocation)
    return next((one for one in candidates if isinstance(one, str) and _SANE.fullmatch(one)), "")
