"""All configuration, from the functions' environment, read once and typed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """The environment variables that infra/functions.yaml gives each function, by their names in lower case."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str
    orders_table: str
    pools_table: str
    orders_queue_url: str
    dead_letter_queue_url: str
    solana_rpc_url: str = Field(repr=False)  # may hold a provider's key
    websocket_url: str
    websocket_endpoint: str
    wallet_file: str | None = None
    api_key_sha256: str | None = None  # hex digest of the key that stages other than `local` ask for
    worker_timeout_seconds: int = 20

    # How long a worker owns an order: longer than the function can live, so that an owner is dead when it runs out.
    lease_margin_seconds: int = 5
    # How much of its time a worker watches a transaction before it hands over to the next delivery.
    watch_seconds: int = 10
    confirm_poll_ms: int = 200
    rebroadcast_ms: int = 2000
    priority_fee_floor: int = 1_000  # micro-lamports per compute unit
    priority_fee_cap: int = 2_000_000

    @property
    def lease_ms(self) -> int:
        return (self.worker_timeout_seconds + self.lease_margin_seconds) * 1000


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`. Raises pydantic.ValidationError naming what is missing or wrong."""
    return Settings.model_validate({name.lower(): value for name, value in environment.items() if value != ""})


@cache
def settings() -> Settings:
    """This process's settings."""
    return read_settings(os.environ)
