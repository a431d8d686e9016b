"""All configuration, from the functions' environment, read once and typed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from chalicelib.explorer import checked_template
from chalicelib.solana.pacing import Shares, shares_of
from chalicelib.solana.wallet_choice import WalletChoice

_TIME_TO_STEP_BACK_SECONDS = 3
# 32 bytes in base58, as far as letters and length tell.
_ADDRESS = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")


class Settings(BaseModel):
    """The environment that infra/deployment/functions.yaml gives each function, by names in lower case."""

    # Errors don't show what they were given: the nodes' keys are among it.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    stage: str
    orders_table: str
    pools_table: str
    proposals_table: str  # pools that a scheduled search found
    # The operators' record: only the scheduled search is told where it is.
    audit_table: str | None = None
    control_table: str
    access_table: str  # API keys
    meter_table: str  # how often each key is used
    connections_table: str  # open WebSocket connections, used tickets
    line_table: str  # orders that wait for their start
    circulations_table: str  # pairs of which orders wait for a price, or whose quotes stream
    quote_streams_table: str
    ticket_secret_arn: str
    orders_queue_url: str
    dead_letter_queue_url: str
    watch_queue_url: str
    # A node, or several separated by commas; may hold providers' keys, so on `prod` the text is a secret and this names
    # it. Only the functions that ask a node have either.
    solana_rpc_url: str | None = Field(default=None, repr=False)
    solana_rpc_secret_arn: str | None = None
    # Orders are written packed (aws/dynamodb/packed_item.py): all functions that are at work can read them so.
    pack_orders: bool = False
    # For clients to connect to, and for the functions to post to; neither where the gateway has no WebSocket.
    websocket_url: str | None = None
    websocket_endpoint: str | None = None
    wallet: str | None = None  # kms:…, secret:… or file:…, see WalletChoice; only the worker needs one
    wallet_address: str | None = None  # what that wallet's public key is: told, for whoever may not use the key
    # Where people look a transaction up, with {txHash} in its place; None where the cluster has no explorer.
    explorer_url: str | None = None
    worker_timeout_seconds: int = 20

    # At most so many orders start in any 60 s, of which so many at once.
    orders_per_minute: int = Field(default=100, ge=2)
    starts_at_once: int = Field(default=10, ge=1)

    # How long after the end of a look at a pair of which orders wait the next begins: whole seconds, as a queue counts.
    watch_every_seconds: int = Field(default=1, ge=1, le=900)

    # How many WebSocket connections an API key, and all of an account's keys together, may have open.
    connections_per_key: int = Field(default=20, ge=1)
    connections_per_account: int = Field(default=50, ge=1)

    # How long a market order is good for that names no expiresAt, from when it may start.
    market_order_seconds: int = Field(default=300, ge=1)

    # What orders are valued in, for the limits on their size: a token that the pools trade.
    reference_mint: str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v"
    reference_symbol: str = "USDC"
    reference_decimals: int = Field(default=6, ge=0, le=20)

    # How long a worker owns an order: longer than the function can live, so that an owner is dead when it runs out.
    lease_margin_seconds: int = 5
    # How long a worker watches a transaction at most before it hands over to the next delivery: less where a blockhash
    # doesn't live three times as long. How often it asks and sends follows from the length of the cluster's slots.
    watch_seconds: int = 10
    priority_fee_floor: int = 1_000  # micro-lamports per compute unit
    priority_fee_cap: int = 2_000_000
    # What the wallet signs at most for priority, whatever the price: 1.4 million units at 2,000,000 micro-lamports.
    max_priority_fee_lamports: int = Field(default=2_800_000, ge=0)

    # The version of the transactions that are built, where the cluster takes it: 1, or 0 for one that never does.
    transaction_version: Literal[0, 1] = 1
    # Lanes that transactions are sent to besides the nodes, and nothing else is: URLs, separated by commas; they may
    # hold keys. What each transaction pays them, in lamports, and to which of their accounts, separated by commas.
    senders: str | None = Field(default=None, repr=False)
    tip_lamports: int = Field(default=0, ge=0)
    tip_accounts: str = ""

    # When a Solana node is left alone, and for how long at first and at most (see BreakerPolicy); how often all of
    # several nodes are measured.
    rpc_failures_to_open: int = Field(default=8, ge=1)
    rpc_first_cool_down_ms: int = Field(default=1_000, ge=1)
    rpc_longest_cool_down_ms: int = Field(default=30_000, ge=1)
    rpc_survey_every_ms: int = Field(default=15_000, ge=1)
    # How often the whole stage may ask each node, calls a second; None: as often as it likes (see solana/pacing.py).
    # What a process may take of it follows from how many orders execute at once, and whether it executes them.
    rpc_requests_per_second: Decimal | None = Field(default=None, gt=0, le=100_000)
    orders_at_once: int = Field(default=10, ge=1)  # of one account
    executes_orders: bool = False

    @field_validator("solana_rpc_url")
    @classmethod
    def _addresses_of_nodes(cls, text: str | None) -> str | None:
        if text is not None:
            node_urls(text)
        return text

    @field_validator("senders")
    @classmethod
    def _addresses_of_lanes(cls, text: str | None) -> str | None:
        if text is not None:
            node_urls(text)
        return text

    @field_validator("transaction_version", mode="before")
    @classmethod
    def _version_as_a_number(cls, text: object) -> object:
        return int(text) if isinstance(text, str) and text.isdecimal() else text

    @field_validator("explorer_url")
    @classmethod
    def _place_of_a_transaction(cls, text: str | None) -> str | None:
        return None if text is None else checked_template(text)

    @model_validator(mode="after")
    def _pace_for_the_orders(self) -> Self:
        _ = self.rpc_shares  # raises ValueError where it is too slow
        return self

    @model_validator(mode="after")
    def _wallet_for_the_stage(self) -> Self:
        if self.wallet is not None:
            WalletChoice.parse(self.wallet, self.stage)
        return self

    @model_validator(mode="after")
    def _tip_within_the_cap(self) -> Self:
        if self.tip_lamports and not self.tip_account_texts:
            raise ValueError("TIP_LAMPORTS needs TIP_ACCOUNTS, which the tip goes to")
        if self.tip_lamports > self.max_priority_fee_lamports:
            raise ValueError("TIP_LAMPORTS is more than MAX_PRIORITY_FEE_LAMPORTS, which caps fee and tip together")
        for text in self.tip_account_texts:
            if not _ADDRESS.fullmatch(text):
                raise ValueError("TIP_ACCOUNTS must be addresses in base58, separated by commas")
        return self

    @property
    def sender_urls(self) -> tuple[str, ...]:
        """The lanes that transactions are sent to besides the nodes."""
        return () if self.senders is None else node_urls(self.senders)

    @property
    def tip_account_texts(self) -> tuple[str, ...]:
        """The accounts that a tip may go to, each once."""
        return tuple(dict.fromkeys(filter(None, map(str.strip, self.tip_accounts.split(",")))))

    @property
    def wallet_choice(self) -> WalletChoice | None:
        """Which wallet the worker signs with; None where none was chosen."""
        return None if self.wallet is None else WalletChoice.parse(self.wallet, self.stage)

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


def node_urls(text: str) -> tuple[str, ...]:
    """The nodes' URLs, each once, in the order given: the first is asked first where all are equally well.

    Raises ValueError, which doesn't quote the text.
    """
    urls = tuple(dict.fromkeys(entry for entry in map(str.strip, text.split(",")) if entry))
    if not urls or not all(url.startswith(("http://", "https://")) for url in urls):
        raise ValueError("one or more http(s) URLs, separated by commas")
    return urls


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`. Raises pydantic.ValidationError naming what is missing or wrong."""
    return Settings.model_validate({name.lower(): value for name, value in environment.items() if value != ""})


@cache
def settings() -> Settings:
    """This process's settings."""
    return read_settings(os.environ)
