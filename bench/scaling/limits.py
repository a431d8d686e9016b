"""The limits that orders meet on their way, as deployed, and what to change where one binds.

AWS's are the defaults of an account in us-east-1; each is named with its page. `rpc_per_second`, `accounts`, `pools`
and `transaction_seconds` are assumptions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from chalicelib.aws.dynamodb.order_item import OPEN_SHARDS


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates are units a second unless named otherwise."""

    # infra/deployment/deploy.py: --requests-per-second, --orders-per-minute, --orders-at-once
    gateway: float = 200
    orders_per_minute: float = 100
    orders_at_once: int = 10
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    lambda_concurrency: int = 1_000
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: five, and 300 more a minute
    mapping_start: int = 5
    mapping_growth_per_minute: int = 300
    # One partition takes 1,000 write units a second, and so does one hot item; a new table on demand takes 4,000, any
    # table 40,000: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
    partition: float = 1_000
    table: float = 4_000
    admission_items: int = 1
    # Transactions that write the same item are done one after the other; those that meet are tried again. How long one
    # holds its items is an assumption: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    transaction_seconds: float = 0.01
    counter_parts: int = 1
    account_parts: int = 1
    open_shards: int = OPEN_SHARDS
    # infra/deployment/functions.yaml: ParallelizationFactor of the stream's mapping
    publishers_per_shard: int = 10
    # Posts to connections count as requests do:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
    gateway_account: float = 10_000
    websocket_connects: float = 500
    # https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html: elliptic curves
    kms: float = 1_000
    rpc_per_second: float = 100
    wallets: int = 1
    pools: int = 4
    # Compute units of a block (SIMD-0256), and of one account that it writes; by SIMD-0306 two fifths of a block
    block_units: float = 60_000_000
    account_units: float = 12_000_000
    blocks_per_second: float = 2.5
    # How many clients' accounts the orders come from
    accounts: int = 10

    @property
    def shards(self) -> int:
        """The stream has a shard for each of the table's partitions."""
        return max(1, round(self.table / self.partition))


@dataclass(frozen=True, slots=True)
class Change:
    """What to do about a limit: `how` in words, `apply` in numbers. `kind` says who must act."""

    kind: str
    how: str
    apply: Callable[[Limits], Limits]


def change_for(station: str, limits: Limits, per_minute: float) -> Change | None:
    """What takes this station out of the way of so many orders a minute; None where nothing of ours does."""
    per_second = per_minute / 60
    ample = 1.5
    match station:
        case "gateway stage":
            rate = 2 * per_second * ample
            if rate > limits.gateway_account:
                return None
            return Change("option", f"--requests-per-second {rate:,.0f}", lambda now: replace(now, gateway=rate))
        case "pace":
            pace = per_minute * 1.2
            return Change(
                "option", f"--orders-per-minute {pace:,.0f}", lambda now: replace(now, orders_per_minute=pace)
            )
        case "workers at once":
            if limits.orders_at_once < 1_000:
                more = min(1_000, max(2 * limits.orders_at_once, round(per_second * 2)))
                return Change("option", f"--orders-at-once {more:,}", lambda now: replace(now, orders_at_once=more))
            more = 2 * limits.orders_at_once
            queues = more // 1_000
            how = f"{queues} queues with a worker function each, for one mapping ends at 1,000 workers"
            return Change(
                "code",
                how,
                lambda now: replace(
                    now, orders_at_once=more, mapping_start=5 * queues, mapping_growth_per_minute=300 * queues
                ),
            )
        case "Lambda concurrency":
            more = 4 * limits.lambda_concurrency
            how = f"ask AWS for {more:,} concurrent executions"
            return Change("quota", how, lambda now: replace(now, lambda_concurrency=more))
        case "admission item":
            more = 4 * limits.admission_items
            how = f"the pace's number in {more} items, each a share of the pace"
            return Change("code", how, lambda now: replace(now, admission_items=more))
        case "counters of all":
            more = 8 * limits.counter_parts
            how = f"the counters of all accounts in {more} parts, each with a share of the limit"
            return Change("code", how, lambda now: replace(now, counter_parts=more))
        case "orders table":
            if limits.table < 40_000:
                more_units = min(40_000.0, 4 * limits.table)
                how = f"warm the table up to {more_units:,.0f} write units a second (alone it doubles in half an hour)"
                return Change("option", how, lambda now: replace(now, table=more_units))
            more_units = 4 * limits.table
            how = f"ask AWS for {more_units:,.0f} write units a second for the table"
            return Change("quota", how, lambda now: replace(now, table=more_units))
        case "index by account":
            parts = 8 * limits.account_parts
            how = f"the index's key in {parts} parts an account (a listing then merges them)"
            return Change("code", how, lambda now: replace(now, account_parts=parts))
        case "index byDue":
            shards = 8 * limits.open_shards
            how = f"OPEN_SHARDS = {shards} in aws/dynamodb/order_item.py"
            return Change("constant", how, lambda now: replace(now, open_shards=shards))
        case "publisher":
            if limits.publishers_per_shard < 10:
                how = "ParallelizationFactor: 10 for the stream (an order's changes stay in their order)"
                return Change("template", how, lambda now: replace(now, publishers_per_shard=10))
            more_units = 2 * limits.table
            how = f"more shards: warm the table up to {more_units:,.0f} write units a second"
            return Change("option", how, lambda now: replace(now, table=more_units))
        case "posts to connections":
            more_posts = 2 * limits.gateway_account
            how = f"ask AWS for {more_posts:,.0f} gateway requests a second"
            return Change("quota", how, lambda now: replace(now, gateway_account=more_posts))
        case "new connections":
            more_posts = per_second * ample
            how = f"ask AWS for {more_posts:,.0f} new connections a second, or one connection for an account's orders"
            return Change("quota", how, lambda now: replace(now, websocket_connects=more_posts))
        case "KMS":
            rate = per_second * ample
            how = f"ask AWS for {rate:,.0f} signatures a second, or keep the key in Secrets Manager"
            return Change("quota", how, lambda now: replace(now, kms=rate))
        case "Solana node":
            rate = per_second * 12 * ample
            how = f"nodes that answer {rate:,.0f} calls a second"
            return Change("provider", how, lambda now: replace(now, rpc_per_second=rate))
        case "wallet's compute units":
            more = 4 * limits.wallets
            how = f"{more} wallets: each transaction writes its wallet's account"
            return Change("code", how, lambda now: replace(now, wallets=more))
        case "pools' compute units":
            more = 4 * limits.pools
            how = f"{more} pools traded at once: more pairs, more pools of a pair"
            return Change("market", how, lambda now: replace(now, pools=more))
    return None
