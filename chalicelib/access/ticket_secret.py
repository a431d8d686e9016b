"""The secret that signs tickets, in Secrets Manager; the one before it is still accepted after a rotation."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.aws.secrets_manager import SecretsManager, secret_version
from chalicelib.log import logger
from chalicelib.problems import AwsError, AwsRefused

# How long a process signs with what it has read. Secrets must not be rotated twice in that time.
FRESH_FOR_MS = 300_000
# How often at most a process looks again because of a signature that it doesn't know.
LOOK_AGAIN_AFTER_MS = 10_000
_CURRENT, _PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"


class TicketSecret:
    def __init__(self, client: SecretsManager, secret_id: str, now_ms: Callable[[], int]) -> None:
        self._client = client
        self._secret_id = secret_id
        self._now_ms = now_ms
        self._secrets: tuple[bytes, ...] = ()
        self._read_at_ms = 0

    def accepted(self) -> tuple[bytes, ...]:
        """The secrets whose signatures hold, the one to sign with first. Raises AwsError on the first read."""
        if not self._secrets:
            self._read()
        elif self._now_ms() - self._read_at_ms >= FRESH_FOR_MS:
            self._read_if_possible()
        return self._secrets

    def accepted_after_a_look(self) -> tuple[bytes, ...]:
        """The same, read again unless that was done just now: the secret may have been rotated."""
        if self._now_ms() - self._read_at_ms >= LOOK_AGAIN_AFTER_MS:
            self._read_if_possible()
        return self.accepted()

    def _read_if_possible(self) -> None:
        try:
            self._read()
        except AwsError:
            logger.exception("ticket secret not read again; going on with the known one")
            self._read_at_ms = self._now_ms() - FRESH_FOR_MS + LOOK_AGAIN_AFTER_MS  # not at every request

    def _read(self) -> None:
        current = self._version(_CURRENT)
        if current is None:
            raise AwsRefused("there is no ticket secret")
        previous = self._version(_PREVIOUS)
        self._secrets = (current,) if previous is None else (current, previous)
        self._read_at_ms = self._now_ms()

    def _version(self, stage: str) -> bytes | None:
        text = secret_version(self._client, self._secret_id, stage)
        if text is None:
            return None
        if len(text) < 32:
            raise ValueError("the ticket secret is too short to be one")
        return text.encode()
