"""Where the real parts are put together, each once a process and only when first needed (cold starts).

What reaches the chain imports solders inside its function: the WebSocket and stream functions never load it.
"""

from __future__ import annotations

import secrets
import time
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from chalicelib.access.authentication import Authentication
from chalicelib.access.caller import LOCAL_CALLER, Caller
from chalicelib.access.key_table import KeyTable
from chalicelib.access.ticket_office import TicketOffice
from chalicelib.access.ticket_secret import TicketSecret
from chalicelib.access.websocket_doors import WebSocketDoors
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.aws.dynamodb.order_table import OrderTable
from chalicelib.aws.dynamodb.outages import SharedOutages
from chalicelib.aws.dynamodb.start_rate import SharedStartRate
from chalicelib.aws.orders_queue import SqsOrdersQueue
from chalicelib.aws.websocket_gateway import WebSocketGateway
from chalicelib.orders.delivery import Delivery
from chalicelib.orders.execution import Execution
from chalicelib.orders.intake import Intake
from chalicelib.orders.outage import OutagePolicy
from chalicelib.orders.recovery import Recovery
from chalicelib.orders.redrive import Redrive
from chalicelib.orders.start_rate import starts_a_minute
from chalicelib.push.connection_sweep import ConnectionSweep
from chalicelib.push.connection_table import ConnectionTable
from chalicelib.push.connections import Connections
from chalicelib.push.publisher import Publisher
from chalicelib.push.session import Session
from chalicelib.risk.counters import GLOBAL
from chalicelib.risk.limits import ReferenceCurrency, defaults_for
from chalicelib.settings import settings
from chalicelib.solana.pacing import WINDOW_MS
from chalicelib.solana.wallet_choice import WalletKind
from chalicelib.telemetry import correlation_id

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

    from chalicelib.http.api import HealthApi, MarketApi, OrdersApi, TicketsApi
    from chalicelib.orders.dry_run import DryRun
    from chalicelib.orders.quoting import Quoter
    from chalicelib.orders.token_directory import ChainTokenDirectory
    from chalicelib.routing.market import Market
    from chalicelib.solana.compute_budget import PriorityFeePolicy
    from chalicelib.solana.pacing import Pace, Shares
    from chalicelib.solana.rpc import SolanaRpc
    from chalicelib.solana.signing_policy import SigningPolicy
    from chalicelib.solana.wallet import Wallet
    from chalicelib.venues.registry import PoolRegistry

# How long one HTTP request may wait for Solana's nodes in all: the gateway gives up after 29 s.
_REQUEST_WAITS_SECONDS = 22.0
_AWS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 4})


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@cache
def dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=_AWS)


@cache
def sqs() -> SQSClient:
    return boto3.client("sqs", config=_AWS)


@cache
def order_store() -> OrderTable:
    return OrderTable(dynamodb(), settings().orders_table, settings().control_table)


@cache
def control_table() -> ControlTable:
    return ControlTable(dynamodb(), settings().control_table, defaults_for(settings().stage))


@cache
def orders_queue() -> SqsOrdersQueue:
    return SqsOrdersQueue(sqs(), settings().orders_queue_url, settings().dead_letter_queue_url)


@cache
def start_rate() -> SharedStartRate:
    limit = settings().orders_per_minute
    rate = starts_a_minute(limit, min(settings().starts_at_once, limit))
    return SharedStartRate(dynamodb(), settings().control_table, rate)


@cache
def outages() -> SharedOutages:
    policy = OutagePolicy(failures_to_tell=settings().rpc_failures_to_open)
    return SharedOutages(dynamodb(), settings().control_table, policy)


def keyless() -> Caller | None:
    """Whoever comes without a key or a ticket: the `local` stage's own account; on any other stage nobody may."""
    return LOCAL_CALLER if settings().stage == "local" else None


@cache
def key_table() -> KeyTable:
    return KeyTable(dynamodb(), settings().access_table)


@cache
def authentication() -> Authentication:
    return Authentication(key_table(), now_ms, keyless())


@cache
def ticket_office() -> TicketOffice:
    secret = TicketSecret(boto3.client("secretsmanager", config=_AWS), settings().ticket_secret_arn, now_ms)
    return TicketOffice(secret, key_table(), now_ms, secrets.token_bytes)


@cache
def connection_table() -> ConnectionTable:
    return ConnectionTable(dynamodb(), settings().connections_table)


@cache
def connections() -> Connections:
    return Connections(dynamodb(), settings().orders_table)


@cache
def gateway() -> WebSocketGateway:
    endpoint = settings().websocket_endpoint
    return WebSocketGateway(boto3.client("apigatewaymanagementapi", endpoint_url=endpoint, config=_AWS))


@cache
def publisher() -> Publisher:
    return Publisher(order_store(), connections(), gateway(), time.sleep)


@cache
def connection_sweep() -> ConnectionSweep:
    return ConnectionSweep(connections(), connection_table(), key_table(), gateway(), now_ms)


@cache
def session() -> Session:
    without_ticket = keyless()
    return Session(
        order_store(),
        connections(),
        connection_table(),
        gateway(),
        ticket_office(),
        now_ms,
        without_ticket.account if without_ticket else None,
    )


@cache
def rpc() -> SolanaRpc:
    from chalicelib.solana.circuit_breaker import BreakerPolicy
    from chalicelib.solana.failover import FailoverRpc
    from chalicelib.solana.rpc import SolanaRpc

    config = settings()
    urls = config.solana_rpc_urls
    # With others to turn to a node is given less time, so that a worker gets past two that hang.
    connect_timeout, read_timeout = (2, 5) if len(urls) == 1 else (1, 3)
    nodes = [SolanaRpc(url, connect_timeout=connect_timeout, read_timeout=read_timeout) for url in urls]
    policy = BreakerPolicy(
        failures_to_open=config.rpc_failures_to_open,
        first_cool_down_ms=config.rpc_first_cool_down_ms,
        longest_cool_down_ms=config.rpc_longest_cool_down_ms,
    )
    shares = config.rpc_shares
    client = FailoverRpc(
        nodes,
        now_ms,
        policy,
        paces=None if shares is None else [_pace_of(number, shares) for number in range(1, len(nodes) + 1)],
        # a survey is a call like any other
        survey_every_ms=max(config.rpc_survey_every_ms, _calls_apart_ms(20)),
    )
    client.start_waiting(_REQUEST_WAITS_SECONDS)
    return client


def start_request() -> None:
    """What each HTTP request begins with: it may wait for Solana's nodes again, if it needs them."""
    if rpc.cache_info().currsize:
        rpc().start_waiting(_REQUEST_WAITS_SECONDS)


def _pace_of(node: int, shares: Shares) -> Pace:
    if settings().executes_orders:
        from chalicelib.solana.pacing import OwnPace

        return OwnPace(shares.worker)
    from chalicelib.aws.dynamodb.api_pace import ApiPace

    return ApiPace(dynamodb(), settings().control_table, node, shares.api)


def _calls_apart_ms(calls: int) -> int:
    """How long so many calls take at a worker's pace, 0 without one: what repeats had better be no more frequent."""
    shares = settings().rpc_shares
    return 0 if shares is None else calls * WINDOW_MS // shares.worker


@cache
def pool_registry() -> PoolRegistry:
    from chalicelib.aws.dynamodb.pool_table import PoolTable
    from chalicelib.venues import supported
    from chalicelib.venues.registry import PoolRegistry

    table = PoolTable(dynamodb(), settings().pools_table)
    return PoolRegistry(
        table.entries,
        lambda addresses: rpc().get_multiple_accounts(addresses).accounts,
        supported.VENUES,
        now_ms,
    )


@cache
def token_directory() -> ChainTokenDirectory:
    from chalicelib.orders.token_directory import ChainTokenDirectory

    return ChainTokenDirectory(pool_registry(), lambda addresses: rpc().get_multiple_accounts(addresses).accounts)


@cache
def market() -> Market:
    from solders.pubkey import Pubkey

    from chalicelib.routing.market import Market

    return Market(rpc(), pool_registry(), now_ms, Pubkey.from_string(settings().reference_mint))


@cache
def wallet() -> Wallet:
    """Raises RuntimeError where no wallet was chosen, and what LocalWallet.load raises."""
    choice = settings().wallet_choice
    if choice is None:
        raise RuntimeError("no wallet: set WALLET to kms:<key id>, secret:<name> or, on local stages, file:<path>")
    match choice.kind:
        case WalletKind.KMS:
            from chalicelib.aws.kms_wallet import KmsWallet

            return KmsWallet(boto3.client("kms", config=_AWS), choice.place)
        case WalletKind.SECRET:
            from chalicelib.aws.secret_wallet import SecretWallet

            return SecretWallet(boto3.client("secretsmanager", config=_AWS), choice.place)
        case WalletKind.FILE:
            from chalicelib.solana.wallet import LocalWallet

            return LocalWallet.load(Path(choice.place))


@cache
def signing_policy() -> SigningPolicy:
    from chalicelib.solana.signing_policy import SigningPolicy
    from chalicelib.venues import supported

    pools = pool_registry().tradable
    return SigningPolicy(supported.VENUES, pools, settings().max_priority_fee_lamports)


@cache
def priority_fees() -> PriorityFeePolicy:
    from chalicelib.solana.compute_budget import PriorityFeePolicy

    config = settings()
    return PriorityFeePolicy(
        floor=config.priority_fee_floor, cap=config.priority_fee_cap, max_lamports=config.max_priority_fee_lamports
    )


def reference_currency() -> ReferenceCurrency:
    config = settings()
    return ReferenceCurrency(config.reference_mint, config.reference_symbol, config.reference_decimals)


@cache
def delivery() -> Delivery:
    from chalicelib.orders.settling import Settler, WatchPolicy
    from chalicelib.orders.trading import ChainTrader
    from chalicelib.venues.supported import error_classifier

    config = settings()
    settler = Settler(
        rpc(),
        lambda: wallet().address,
        error_classifier(),
        WatchPolicy(
            config.watch_seconds,
            # of a node's pace every look takes one call, and every send
            max(config.confirm_poll_ms, _calls_apart_ms(1)) / 1000,
            max(config.rebroadcast_ms, _calls_apart_ms(5)) / 1000,
            config.invocation_seconds,
        ),
        time.monotonic,
        time.sleep,
    )
    trader = ChainTrader(
        rpc(),
        market(),
        wallet(),
        signing_policy(),
        error_classifier(),
        priority_fees(),
        settler,
        now_ms,
    )
    execution = Execution(
        order_store(),
        trader,
        start_rate(),
        outages(),
        control_table(),
        now_ms,
        config.lease_ms,
        reference_currency(),
        new_nonce=secrets.token_hex,
    )
    return Delivery(execution, orders_queue(), config.lease_ms)


@cache
def recovery() -> Recovery:
    return Recovery(order_store(), orders_queue(), now_ms)


@cache
def intake() -> Intake:
    return Intake(
        order_store(),
        orders_queue(),
        token_directory(),
        start_rate(),
        control_table(),
        now_ms,
        uuid.uuid4,
        correlation_id,
        settings().market_order_seconds * 1000,
    )


@cache
def redrive() -> Redrive:
    return Redrive(order_store(), orders_queue(), intake(), control_table(), now_ms)


@cache
def orders_api() -> OrdersApi:
    from chalicelib.http.api import OrdersApi

    return OrdersApi(intake(), order_store(), token_directory(), websocket_doors(), dry_run())


@cache
def dry_run() -> DryRun:
    from solders.pubkey import Pubkey

    from chalicelib.orders.dry_run import DryRun
    from chalicelib.orders.trial import RouteTrial
    from chalicelib.risk.network_fees import FeeRange
    from chalicelib.solana.compute_budget import BASE_FEE_LAMPORTS
    from chalicelib.venues.supported import error_classifier

    address = settings().wallet_address
    wallet_address = None if address is None else Pubkey.from_string(address)
    trial = RouteTrial(rpc(), wallet_address, error_classifier(), priority_fees(), secrets.token_hex)
    fees = FeeRange(BASE_FEE_LAMPORTS, priority_fees().most_lamports)
    return DryRun(intake(), quoter(), trial, control_table(), reference_currency(), fees)


@cache
def websocket_doors() -> WebSocketDoors:
    return WebSocketDoors(settings().websocket_url, ticket_office())


@cache
def tickets_api() -> TicketsApi:
    from chalicelib.http.api import TicketsApi

    return TicketsApi(intake(), websocket_doors())


@cache
def market_api() -> MarketApi:
    from chalicelib.http.api import MarketApi

    return MarketApi(token_directory(), quoter())


@cache
def quoter() -> Quoter:
    from solders.pubkey import Pubkey

    from chalicelib.orders.quoting import Quoter
    from chalicelib.orders.trading import LEG_COMPUTE_UNITS
    from chalicelib.routing.market import Market
    from chalicelib.solana.compute_budget import ComputeBudget
    from chalicelib.solana.rpc import BesideTheSlot

    leg = ComputeBudget(LEG_COMPUTE_UNITS, settings().priority_fee_floor)
    reference = Pubkey.from_string(settings().reference_mint)
    market = Market(BesideTheSlot(rpc()), pool_registry(), now_ms, reference)
    return Quoter(market, leg.priority_fee_lamports, now_ms)


@cache
def health() -> HealthApi:
    from chalicelib.http.api import HealthApi

    config = settings()
    return HealthApi(
        {
            "solana": lambda: {"slot": rpc().get_slot()},
            "orders": lambda: {"readable": order_store().load("health") is None},
            "queue": lambda: {"waiting": orders_queue().waiting()},
            "halt": lambda: {"halted": control_table().halt_in(GLOBAL) is not None},
        },
        config.stage,
    )


@cache
def openapi_document() -> dict[str, Any]:
    from chalicelib.contract.openapi import document

    return document(key_optional=settings().stage == "local")


@cache
def asyncapi_document() -> dict[str, Any]:
    from chalicelib.contract.asyncapi import document

    return document(settings().websocket_url)
