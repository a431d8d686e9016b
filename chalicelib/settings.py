"""All configuration, from the functions' environment, read once and typed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chalicelib.solana.pacing import Shares, shares_of
from chalicelib.solana.wallet_choice import WalletChoice

_TIME_TO_STEP_BACK_SECONDS = 3


class Settings(BaseModel):
    """The environment that infra/deployment/functions.yaml gives each function, by names in lower case."""

    # Errors don't show what they were given: the nodes' keys are among it.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    stage: str
    orders_table: str
    pools_table: str
    control_table: str
    access_table: str  # API keys
    connections_table: str  # open WebSocket connections, used tickets
    ticket_secret_arn: str
    orders_queue_url: str
    dead_letter_queue_url: str
    solana_rpc_url: str = Field(repr=False)  # a node, or several separated by commas; may hold providers' keys
    websocket_url: str
    websocket_endpoint: str
    wallet: str | None = None  # kms:…, secret:… or file:…, see WalletChoice; only the worker needs one
    wallet_address: str | None = None  # what that wallet's public key is: told, for whoever may not use the key
    worker_timeout_seconds: int = 20

    # At most so many orders start in any 60 s, of which so many at once.
    orders_per_minute: int = Field(default=100, ge=2)
    starts_at_once: int = Field(default=10, ge=1)

    # How long a market order is good for that names no expiresAt, from when it may start.
    market_order_seconds: int = Field(default=300, ge=1)

    # What orders are valued in, for the limits on their size: a token that the pools trade.
    reference_mint: str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v"
    reference_symbol: str = "USDC"
    reference_decimals: int = Field(default=6, ge=0, le=20)

    # How long a worker owns an order: longer than the function can live, so that an owner is dead when it runs out.
    lease_margin_seconds: int = 5
    # How much of its time a worker watches a transaction before it hands over to the next delivery.
    watch_seconds: int = 10
    confirm_poll_ms: int = 200
    rebroadcast_ms: int = 2000
    priority_fee_floor: int = 1_000  # micro-lamports per compute unit
    priority_fee_cap: int = 2_000_000
    # What the wallet signs at most for priority, whatever the price: 1.4 million units at 2,000,000 micro-lamports.
    max_priority_fee_lamports: int = Field(default=2_800_000, ge=0)

    # When a Solana node is left alone, and for how long at first and at most (see BreakerPolicy); how often all of
    # several nodes are measured.
    rpc_failures_to_open: int = Field(default=8, ge=1)
    rpc_first_cool_down_ms: int = Field(default=1_000, ge=1)
    rpc_longest_cool_down_ms: int = Field(default=30_000, ge=1)
    rpc_survey_every_ms: int = Field(default=15_000, ge=1)
    # How often the whole stage may ask each node, calls a second; None: as often as it likes (see solana/pacing.py).
    # What a process may take of it follows from how many orders execute at once, and whether it executes them.
    rpc_requests_per_second: Decimal | None = Field(default=None, gt=0, le=100_000)
    orders_at_once: int = Field(default=10, ge=1)
    executes_orders: bool = False

    @field_validator("solana_rpc_url")
    @classmethod
    def _addresses_of_nodes(cls, text: str) -> str:
        urls = _listed(text)
        if not urls or not all(url.startswith(("http://", "https://")) for url in urls):
            raise ValueError("one or more http(s) URLs, separated by commas")
        return text

    @model_validator(mode="after")
    def _pace_for_the_orders(self) -> Self:
        _ = self.rpc_shares  # raises ValueError where it is too slow
        return self

    @model_validator(mode="after")
    def _wallet_for_the_stage(self) -> Self:
        if self.wallet is not None:
            WalletChoice.parse(self.wallet, self.stage)
        return self

    @property
    def wallet_choice(self) -> WalletChoice | None:
        """Which wallet the worker signs with; None where none was chosen."""
        return None if self.wallet is None else WalletChoice.parse(self.wallet, self.stage)

    @property
    def solana_rpc_urls(self) -> tuple[str, ...]:
        """The nodes' URLs, each once, in the order given: the first is asked first where all are equally well."""
        return _listed(self.solana_rpc_url)

    @property
    def rpc_shares(self) -> Shares | None:
        """What a process may take of a node's pace; None where there is none."""
        pace = self.rpc_requests_per_second
        return None if pace is None else shares_of(pace, self.orders_at_once)

    @property
    def invocation_seconds(self) -> int:
        """How long a worker may go on with an order, with time left to write down where it stands."""
        return max(1, self.worker_timeout_seconds - _TIME_TO_STEP_BACK_SECONDS)

    @property
    def lease_ms(self) -> int:
        return (self.worker_timeout_seconds + self.lease_margin_seconds) * 1000


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry for entry in map(str.strip, text.split(",")) if entry))


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`. Raises pydantic.ValidationError naming what is missing or wrong."""
    return Settings.model_validate({name.lower(): value for name, value in environment.items() if value != ""})


@cache
def settings() -> Settings:
    """This process's settings."""
    return read_settings(os.environ)
