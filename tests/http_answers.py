"""What an HTTP double hands out, as urllib3 does it: a body to be streamed where the caller asks for that."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import urllib3


def answered(body: bytes, options: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> urllib3.HTTPResponse:
    """Status 200 with `body`, to a request of these `options`, which are those of `urllib3.PoolManager.urlopen`."""
    return urllib3.HTTPResponse(
        BytesIO(body), headers=headers, status=200, preload_content=options.get("preload_content", True)
    )
