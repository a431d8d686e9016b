"""From a request to its caller: the key in its x-api-key header, checked and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chalicelib.access.caller import Caller
from chalicelib.access.key_meter import KeyMeter
from chalicelib.access.key_table import KeyTable
from chalicelib.access.keys import ApiKey, Scope, digest_of, is_key
from chalicelib.amounts import ceil_div
from chalicelib.aws.dynamodb.rate_cell import TooSoon
from chalicelib.log import logger
from chalicelib.problems import RateLimited, Unauthorized

HEADER = "x-api-key"


class Authentication:
    """Who calls. `keyless` is whoever comes without a key, None where nobody may."""

    def __init__(self, keys: KeyTable, meter: KeyMeter, now_ms: Callable[[], int], keyless: Caller | None) -> None:
        self._keys = keys
        self._meter = meter
        self._now_ms = now_ms
        self._keyless = keyless

    def caller(self, headers: Mapping[str, str], scope: Scope) -> Caller:
        """Whose request it is, if its key may do what `scope` allows; the request is counted.

        Asked of the table itself and not of what the gateway's authorizer found, which the gateway remembers for a
        while: a key that was revoked is refused at its next request.

        Raises Unauthorized, RateLimited or Forbidden.
        """
        caller = self._caller(headers.get(HEADER))
        caller.require(scope)
        return caller

    def recognise(self, key: str) -> ApiKey | None:
        """The key, if it is valid now; counts nothing. For the gateway's authorizer."""
        valid = self._valid(key, self._now_ms()) if is_key(key) else None
        logger.info("authorized" if valid else "not authorized", key_id=valid.key_id if valid else None)
        return valid

    def _caller(self, key: str | None) -> Caller:
        if not key and self._keyless is not None:
            return self._keyless
        if not key or not is_key(key):
            raise Unauthorized(f"send a valid API key in the {HEADER} header")
        now_ms = self._now_ms()
        valid = self._valid(key, now_ms)
        if valid is None:
            raise Unauthorized(f"this API key is unknown or was revoked; send a valid one in {HEADER}")
        try:
            self._meter.count(valid, now_ms)
        except TooSoon as error:
            raise RateLimited("too many requests with this API key", ceil_div(error.wait, 1_000_000)) from None
        return Caller(valid.account, valid.scopes, valid.key_id)

    def _valid(self, key: str, now_ms: int) -> ApiKey | None:
        found = self._keys.find(digest_of(key))
        return found if found is not None and found.is_valid(now_ms) else None
