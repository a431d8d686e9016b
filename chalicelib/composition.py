"""Where the real parts are put together, each once a process and only when first needed (cold starts).

What reaches the chain imports solders inside its function: the WebSocket and stream functions never load it.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
import botocore
from botocore.config import Config

from chalicelib.access.authentication import Authentication
from chalicelib.access.caller import LOCAL_CALLER, Caller
from chalicelib.access.key_meter import KeyMeter
from chalicelib.access.ticket_office import TicketOffice
from chalicelib.access.ticket_secret import TicketSecret
from chalicelib.access.websocket_doors import WebSocketDoors
from chalicelib.aws.dynamodb.circulation_table import CirculationTable
from chalicelib.aws.dynamodb.control_table import ControlTable
from chalicelib.aws.dynamodb.order_table import OrderTable, pause_after_conflict
from chalicelib.aws.dynamodb.outages import SharedOutages
from chalicelib.aws.dynamodb.start_line import StartLine
from chalicelib.aws.orders_queue import SqsOrdersQueue
from chalicelib.aws.secrets_manager import secret_version
from chalicelib.aws.watch_queue import SqsWatchQueue
from chalicelib.aws.websocket_gateway import WebSocketGateway
from chalicelib.contract.version import VERSION
from chalicelib.http.reads_ahead import (
    ControlTableAhead,
    KeyMeterAhead,
    KeyTableAhead,
    OrderReads,
    OrderTableAhead,
    ReadAhead,
    StartLineAhead,
)
from chalicelib.orders.delivery import Delivery, takeover_ms
from chalicelib.orders.execution import Execution
from chalicelib.orders.intake import Intake
from chalicelib.orders.late import LateOrders
from chalicelib.orders.mass_cancel import MassCancel
from chalicelib.orders.order_changer import OrderChanger
from chalicelib.orders.outage import OutagePolicy
from chalicelib.orders.overselling import Overselling
from chalicelib.orders.recovery import Recovery
from chalicelib.orders.redrive import Redrive
from chalicelib.orders.starts import Starts
from chalicelib.orders.turns import TurnPolicy, starts_a_minute
from chalicelib.problems import NoWebSocket
from chalicelib.push.connection_sweep import ConnectionSweep
from chalicelib.push.connection_table import ConnectionCaps, ConnectionTable
from chalicelib.push.connections import Connections
from chalicelib.push.dropping import Dropping
from chalicelib.push.fan_out import POSTS_AT_ONCE, Budget, FanOut
from chalicelib.push.publisher import Publisher
from chalicelib.push.quote_posts import QUOTE_BUDGET, GatewayQuotePosts
from chalicelib.push.quote_stream_table import QuoteStreamTable
from chalicelib.push.session import Session
from chalicelib.push.stream_requests import StreamRequests
from chalicelib.risk.counters import GLOBAL
from chalicelib.risk.limits import ReferenceCurrency, defaults_for
from chalicelib.settings import node_urls, settings
from chalicelib.solana.pacing import WINDOW_MS, workers_for
from chalicelib.solana.wallet_choice import WalletKind
from chalicelib.telemetry import correlation_id
from chalicelib.waiting.late_looks import LateLooks, LooksNow
from chalicelib.waiting.wakes import Wakes
from chalicelib.waiting.waking_orders import WakingOrders

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient
    from solders.pubkey import Pubkey

    from chalicelib.aws.dynamodb.proposal_table import ProposalTable
    from chalicelib.discovery.scheduled import ScheduledSearch
    from chalicelib.http.account_api import AccountApi
    from chalicelib.http.api import MarketApi, OrdersApi, TicketsApi
    from chalicelib.http.health import HealthApi
    from chalicelib.orders.dry_run import DryRun
    from chalicelib.orders.holdings import WalletHoldings
    from chalicelib.orders.order import Token
    from chalicelib.orders.quoting import Quoter
    from chalicelib.orders.token_directory import ChainTokenDirectory
    from chalicelib.routing.market import AccountSource, Market
    from chalicelib.solana.compute_budget import PriorityFeePolicy
    from chalicelib.solana.pacing import Pace, Shares
    from chalicelib.solana.rpc import SolanaRpc
    from chalicelib.solana.signing_policy import SigningPolicy
    from chalicelib.solana.tips import Tips
    from chalicelib.solana.wallet import Wallet
    from chalicelib.venues.registry import PoolEntry, PoolRegistry
    from chalicelib.waiting.ports import LookPace, QuotePosts
    from chalicelib.waiting.watch import PairWatch

# How long one HTTP request may wait for Solana's nodes in all: the gateway gives up after 29 s.
_REQUEST_WAITS_SECONDS = 22.0
# A lane's answer is of no use but to know that it lives.
_LANE_CONNECTS_SECONDS, _LANE_ANSWERS_SECONDS = 1.0, 2.0
# How long a list of a program's pools may take, and how long a scheduled search goes on to the next pair. Where its
# function's own time ends it (.chalice/config.json), what it found of whole pairs is written.
_LIST_SECONDS = 60.0
_SEARCH_MS = 120_000
# A look that waits longer would be cut off by its function's own time-out: its pair is looked at again soon.
_LOOK_CONNECTS_SECONDS, _LOOK_ANSWERS_SECONDS, _LOOK_WAITS_SECONDS = 0.5, 1.5, 0.5
# How long a message over the WebSocket may wait for Solana's nodes in all: its function ends soon after.
_MESSAGE_WAITS_SECONDS = 8.0
# botocore puts together anew at each call what it calls itself, which took a tenth of the call's time.
_USER_AGENT = f"fillrate/{VERSION} Botocore/{botocore.__version__}"
_AWS = Config(
    user_agent=_USER_AGENT,
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "max_attempts": 4},
    # What is sent is typed here and checked by AWS; looking through every item besides took a third of a write's time.
    parameter_validation=False,
)


# What POST /orders/execute reads at one time: key, its use, limits, turns, and the order of its Idempotency-Key.
_READS_AHEAD = 5


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@cache
def dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=_AWS)


@cache
def sqs() -> SQSClient:
    return boto3.client("sqs", config=_AWS)


@cache
def read_ahead() -> ReadAhead:
    return ReadAhead(ThreadPoolExecutor(_READS_AHEAD, "read-ahead"))


@cache
def order_store() -> OrderTable:
    config = settings()
    return OrderTableAhead(
        read_ahead(),
        dynamodb(),
        config.orders_table,
        config.control_table,
        config.circulations_table,
        pack=config.pack_orders,
    )


@cache
def control_table() -> ControlTable:
    return ControlTableAhead(read_ahead(), dynamodb(), settings().control_table, defaults_for(settings().stage))


@cache
def orders_queue() -> SqsOrdersQueue:
    return SqsOrdersQueue(sqs(), settings().orders_queue_url, settings().dead_letter_queue_url)


@cache
def start_line() -> StartLine:
    return StartLineAhead(read_ahead(), dynamodb(), settings().control_table, settings().line_table)


@cache
def starts() -> Starts:
    config = settings()
    limit = config.orders_per_minute
    rate = starts_a_minute(limit, min(config.starts_at_once, limit))
    policy = TurnPolicy(rate, workers_for(config.orders_at_once), config.orders_at_once, config.lease_ms)
    return Starts(start_line(), order_store(), orders_queue(), policy, now_ms, time.sleep)


@cache
def circulations() -> CirculationTable:
    return CirculationTable(dynamodb(), settings().circulations_table)


@cache
def watch_queue() -> SqsWatchQueue:
    return SqsWatchQueue(sqs(), settings().watch_queue_url)


@cache
def wakes() -> Wakes:
    return Wakes(circulations(), watch_queue(), now_ms)


@cache
def late_looks() -> LateLooks:
    return LateLooks(circulations(), settings().watch_every_seconds * 1000, now_ms)


@cache
def waking_orders() -> WakingOrders:
    return WakingOrders(order_store(), wakes())


@cache
def outages() -> SharedOutages:
    policy = OutagePolicy(failures_to_tell=settings().rpc_failures_to_open)
    return SharedOutages(dynamodb(), settings().control_table, policy)


def keyless() -> Caller | None:
    """Whoever comes without a key or a ticket: the `local` stage's own account; on any other stage nobody may."""
    return LOCAL_CALLER if settings().stage == "local" else None


@cache
def key_table() -> KeyTableAhead:
    return KeyTableAhead(read_ahead(), dynamodb(), settings().access_table)


@cache
def key_meter() -> KeyMeter:
    return KeyMeterAhead(read_ahead(), dynamodb(), settings().meter_table)


@cache
def authentication() -> Authentication:
    return Authentication(key_table(), key_meter(), now_ms, keyless())


@cache
def order_reads() -> OrderReads:
    """What an order that is placed will need; to be begun first of all."""
    tables = key_table(), key_meter(), control_table(), order_store()
    return OrderReads(read_ahead(), *tables, keyless(), now_ms)


@cache
def ticket_office() -> TicketOffice:
    secret = TicketSecret(boto3.client("secretsmanager", config=_AWS), settings().ticket_secret_arn, now_ms)
    return TicketOffice(secret, key_table(), now_ms, secrets.token_bytes)


@cache
def connection_table() -> ConnectionTable:
    caps = ConnectionCaps(settings().connections_per_key, settings().connections_per_account)
    return ConnectionTable(dynamodb(), settings().connections_table, caps)


@cache
def connections() -> Connections:
    return Connections(dynamodb(), settings().orders_table)


@cache
def gateway() -> WebSocketGateway:
    return _gateway(_AWS)


def _posts_within(budget: Budget) -> WebSocketGateway:
    """A gateway whose posts have one try: whatever one meets must cost its own connection alone."""
    return _gateway(
        Config(
            user_agent=_USER_AGENT,
            connect_timeout=budget.connection_seconds / 2,
            read_timeout=budget.connection_seconds,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=POSTS_AT_ONCE,
        )
    )


def _gateway(config: Config) -> WebSocketGateway:
    endpoint = settings().websocket_endpoint
    return WebSocketGateway(boto3.client("apigatewaymanagementapi", endpoint_url=endpoint, config=config))


@cache
def publisher() -> Publisher:
    posts = _posts_within(Budget())
    fan_out = FanOut(posts, time.monotonic, time.sleep)
    return Publisher(connections(), connection_table(), posts, fan_out, now_ms)


@cache
def connection_sweep() -> ConnectionSweep:
    return ConnectionSweep(connections(), connection_table(), quote_streams(), key_table(), gateway(), now_ms)


@cache
def quote_streams() -> QuoteStreamTable:
    config = settings()
    tables = config.quote_streams_table, config.connections_table, config.circulations_table
    return QuoteStreamTable(dynamodb(), *tables, pause_after_conflict)


def _stream_asked(content: Mapping[str, Any]) -> tuple[Token, Token, int, int]:
    from chalicelib.contract.requests import QuotesMessage
    from chalicelib.http.api import quote_asked

    tokens = token_directory()
    rpc().start_waiting(_MESSAGE_WAITS_SECONDS)
    return quote_asked(tokens, QuotesMessage, content)


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
        StreamRequests(quote_streams(), _stream_asked, wakes(), now_ms),
    )


@cache
def solana_nodes() -> tuple[str, ...]:
    """The Solana nodes' URLs. Raises RuntimeError where this function is told of none, AwsError, ValueError."""
    config = settings()
    text = config.solana_rpc_url
    if text is None and config.solana_rpc_secret_arn is not None:
        secrets_manager = boto3.client("secretsmanager", config=_AWS)
        text = secret_version(secrets_manager, config.solana_rpc_secret_arn, "AWSCURRENT")
    if text is None:
        raise RuntimeError("no Solana node: set SOLANA_RPC_URL, or SOLANA_RPC_SECRET_ARN to a secret that has it")
    return node_urls(text)


@cache
def rpc() -> SolanaRpc:
    from chalicelib.solana.circuit_breaker import BreakerPolicy
    from chalicelib.solana.failover import FailoverRpc
    from chalicelib.solana.rpc import SolanaRpc

    config = settings()
    urls = solana_nodes()
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
        lanes=[
            SolanaRpc(url, connect_timeout=_LANE_CONNECTS_SECONDS, read_timeout=_LANE_ANSWERS_SECONDS)
            for url in config.sender_urls
        ],
        # a survey is a call like any other
        survey_every_ms=max(config.rpc_survey_every_ms, _calls_apart_ms(20)),
    )
    client.start_waiting(_REQUEST_WAITS_SECONDS)
    return client


def is_over_tls() -> bool:
    """Whether clients reach this stage over TLS: on AWS, and on no emulator."""
    return (settings().websocket_url or "").startswith("wss://")


def start_request() -> None:
    """What each HTTP request begins with: it may wait for Solana's nodes again, and nothing was read for it yet."""
    read_ahead().forget()
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
    from chalicelib.venues import supported
    from chalicelib.venues.registry import PoolRegistry

    return PoolRegistry(
        _traded_pools,
        lambda addresses: rpc().get_multiple_accounts(addresses).accounts,
        supported.VENUES,
        now_ms,
    )


def _operators_pools() -> list[PoolEntry]:
    from chalicelib.aws.dynamodb.pool_table import PoolTable

    return PoolTable(dynamodb(), settings().pools_table).entries()


def _traded_pools() -> list[PoolEntry]:
    """Those that operators registered, and as long as they let it be so those that a scheduled search let in."""
    registered = _operators_pools()
    policy = control_table().discovery_policy()
    if not policy.on or not policy.auto_add:
        return registered
    from chalicelib.discovery.proposals import let_in

    return registered + let_in(proposal_table().all(), registered)


@cache
def proposal_table() -> ProposalTable:
    from chalicelib.aws.dynamodb.proposal_table import ProposalTable

    return ProposalTable(dynamodb(), settings().proposals_table)


@cache
def scheduled_search() -> ScheduledSearch:
    from solders.pubkey import Pubkey

    from chalicelib.aws.dynamodb.function_record import FunctionRecord
    from chalicelib.aws.dynamodb.proposal_table import ProposalTable
    from chalicelib.aws.dynamodb.table import Table
    from chalicelib.discovery.scheduled import ScheduledSearch
    from chalicelib.solana.failover import FailoverRpc
    from chalicelib.solana.rpc import SolanaRpc
    from chalicelib.venues import supported
    from chalicelib.venues.registry import PoolRegistry

    config = settings()
    if config.audit_table is None:
        raise RuntimeError("no AUDIT_TABLE: only the function that searches for pools may record what it proposes")
    record = FunctionRecord(Table(dynamodb(), config.audit_table), "discover_pools", now_ms, secrets.token_hex)
    shares = config.rpc_shares
    chain = FailoverRpc(
        [SolanaRpc(url, read_timeout=_LIST_SECONDS) for url in solana_nodes()],
        now_ms,
        paces=[_pace_of_search(number, shares) for number in range(1, len(solana_nodes()) + 1)],
        longest_wait=_LIST_SECONDS,
    )
    registry = PoolRegistry(
        _operators_pools, lambda addresses: chain.get_multiple_accounts(addresses).accounts, supported.VENUES, now_ms
    )
    return ScheduledSearch(
        chain,
        supported.VENUES,
        registry.pools,
        ProposalTable(dynamodb(), config.proposals_table, record),
        control_table().discovery_policy,
        Pubkey.from_string(config.reference_mint),
        now_ms,
        _SEARCH_MS,
    )


def _pace_of_search(node: int, shares: Shares | None) -> Pace:
    """Half of what the API has, counted with it; 10 calls a second where the stage has no pace."""
    from chalicelib.solana.pacing import OwnPace

    if shares is None:
        return OwnPace(WINDOW_MS // 100)
    from chalicelib.aws.dynamodb.api_pace import ApiPace
    from chalicelib.discovery.pace import PartOfPace

    return PartOfPace(ApiPace(dynamodb(), settings().control_table, node, shares.api), max(1, shares.api // 2))


@cache
def token_directory() -> ChainTokenDirectory:
    from chalicelib.orders.token_directory import ChainTokenDirectory

    return ChainTokenDirectory(pool_registry(), lambda addresses: rpc().get_multiple_accounts(addresses).accounts)


@cache
def market() -> Market:
    from solders.pubkey import Pubkey

    reference = Pubkey.from_string(settings().reference_mint)
    return _market(rpc(), reference)


def _market(source: AccountSource, reference: Pubkey) -> Market:
    from chalicelib.routing.market import Market

    version, with_tip = settings().transaction_version, settings().tip_lamports > 0
    return Market(source, pool_registry(), now_ms, reference, version, with_tip=with_tip)


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
    return SigningPolicy(supported.VENUES, pools, settings().max_priority_fee_lamports, tips().accounts)


@cache
def priority_fees() -> PriorityFeePolicy:
    from chalicelib.solana.compute_budget import PriorityFeePolicy

    config = settings()
    return PriorityFeePolicy(
        floor=config.priority_fee_floor,
        cap=config.priority_fee_cap,
        # the signing policy's cap is for fee and tip together
        max_lamports=config.max_priority_fee_lamports - config.tip_lamports,
    )


@cache
def tips() -> Tips:
    """What each transaction pays the lanes. Raises ValueError on what is no address."""
    from solders.pubkey import Pubkey

    from chalicelib.solana.tips import Tips

    config = settings()
    return Tips(config.tip_lamports, tuple(map(Pubkey.from_string, config.tip_account_texts)))


def reference_currency() -> ReferenceCurrency:
    config = settings()
    return ReferenceCurrency(config.reference_mint, config.reference_symbol, config.reference_decimals)


@cache
def delivery() -> Delivery:
    from chalicelib.orders.settling import Settler, WatchPolicy
    from chalicelib.orders.trading import ChainTrader
    from chalicelib.solana.landing import LandingPace
    from chalicelib.venues.supported import error_classifier

    config = settings()
    settler = Settler(
        rpc(),
        lambda: wallet().address,
        error_classifier(),
        WatchPolicy(
            config.watch_seconds,
            config.invocation_seconds,
            # of a node's pace every look takes one call, and every send
            LandingPace(looks_apart=_calls_apart_ms(1) / 1000, sends_apart=_calls_apart_ms(5) / 1000),
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
        config.transaction_version,
        tips(),
    )
    execution = Execution(
        waking_orders(),
        trader,
        starts(),
        outages(),
        control_table(),
        now_ms,
        config.lease_ms,
        reference_currency(),
        new_nonce=secrets.token_hex,
        keys=key_table(),
    )
    return Delivery(execution, orders_queue(), lambda: takeover_ms(settler.watch_ms(), config.lease_ms))


@cache
def watch() -> PairWatch:
    from solders.pubkey import Pubkey

    from chalicelib.aws.dynamodb.waiting_index import WaitingIndex
    from chalicelib.orders.trading import LEG_COMPUTE_UNITS
    from chalicelib.solana.compute_budget import ComputeBudget
    from chalicelib.solana.failover import FailoverRpc
    from chalicelib.solana.rpc import SolanaRpc
    from chalicelib.waiting.book import Book
    from chalicelib.waiting.hand_over import HandOver
    from chalicelib.waiting.pair_market import RoutedPairMarket
    from chalicelib.waiting.quote_streaming import QuoteStreaming
    from chalicelib.waiting.watch import LookTimes, PairWatch

    config, shares = settings(), settings().rpc_shares
    nodes = FailoverRpc(
        [
            SolanaRpc(url, connect_timeout=_LOOK_CONNECTS_SECONDS, read_timeout=_LOOK_ANSWERS_SECONDS)
            for url in solana_nodes()
        ],
        now_ms,
        paces=None if shares is None else [_pace_of(number, shares) for number in range(1, len(solana_nodes()) + 1)],
        longest_wait=_LOOK_WAITS_SECONDS,
    )
    leg = ComputeBudget(LEG_COMPUTE_UNITS, config.priority_fee_floor)
    market = _market(nodes, Pubkey.from_string(config.reference_mint))
    return PairWatch(
        circulations(),
        watch_queue(),
        Book(WaitingIndex(dynamodb(), config.orders_table), now_ms),
        RoutedPairMarket(market, leg.priority_fee_lamports, now_ms),
        lambda: HandOver(order_store(), orders_queue(), control_table(), now_ms),
        LookTimes(config.watch_every_seconds * 1000, now_ms, time.monotonic),
        ThreadPoolExecutor(1, "hand-over"),
        QuoteStreaming(quote_streams(), _quote_posts(), time.monotonic),
        _look_pace(shares),
    )


def _quote_posts() -> QuotePosts:
    posts = _posts_within(QUOTE_BUDGET)
    fan_out = FanOut(posts, time.monotonic, time.sleep, QUOTE_BUDGET)
    return GatewayQuotePosts(fan_out, Dropping(posts, connection_table()), quote_streams())


def _look_pace(shares: Shares | None) -> LookPace | None:
    """Half of what the API has, in turns: each look asks a node once."""
    if shares is None:
        return None
    from chalicelib.aws.dynamodb.look_pace import SharedLookPace

    return SharedLookPace(dynamodb(), settings().control_table, max(1, shares.api // 2))


@cache
def recovery() -> Recovery:
    return Recovery(order_store(), orders_queue(), starts(), now_ms)


@cache
def intake() -> Intake:
    return Intake(
        waking_orders(),
        orders_queue(),
        token_directory(),
        starts(),
        control_table(),
        now_ms,
        uuid.uuid4,
        correlation_id,
        settings().market_order_seconds * 1000,
        settings().wallet_address,
        prices=_best_out,
    )


def _best_out(token_in: Token, token_out: Token, amount: int) -> int:
    return quoter().price(token_in, token_out, amount).route.amount_out


@cache
def order_changer() -> OrderChanger:
    return OrderChanger(waking_orders(), control_table(), _best_out, now_ms)


@cache
def redrive() -> Redrive:
    return Redrive(order_store(), orders_queue(), intake(), control_table(), key_table(), now_ms)


@cache
def orders_api() -> OrdersApi:
    from chalicelib.http.api import OrdersApi
    from chalicelib.waiting.looks_told import LooksTold

    mass_cancel = MassCancel(order_store(), intake().cancel, intake().find, now_ms)
    return OrdersApi(
        intake(),
        order_store(),
        token_directory(),
        websocket_doors(),
        dry_run(),
        mass_cancel,
        order_changer(),
        overselling(),
        LooksTold(circulations(), now_ms),
        settings().explorer_url,
    )


@cache
def account_api() -> AccountApi:
    from chalicelib.http.account_api import AccountApi

    return AccountApi(holdings(), order_store(), token_directory(), settings().reference_decimals)


@cache
def holdings() -> WalletHoldings:
    from chalicelib.orders.holdings import WalletHoldings
    from chalicelib.solana.rpc import BesideTheSlot

    return WalletHoldings(
        settings().wallet_address,
        token_directory().tokens,
        BesideTheSlot(rpc()).get_multiple_accounts,
        lambda: rpc().get_minimum_balance_for_rent_exemption(0),
        market().worths,
    )


@cache
def overselling() -> Overselling:
    return Overselling(order_store(), lambda mint: holdings().of(mint))


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
    version, tip = settings().transaction_version, settings().tip_lamports
    trial = RouteTrial(rpc(), wallet_address, error_classifier(), priority_fees(), secrets.token_hex, version, tips())
    fees = FeeRange(BASE_FEE_LAMPORTS + tip, priority_fees().most_lamports + tip)
    return DryRun(intake(), quoter(), trial, control_table(), reference_currency(), fees, overselling())


@cache
def websocket_doors() -> WebSocketDoors:
    return WebSocketDoors(settings().websocket_url, ticket_office())


@cache
def tickets_api() -> TicketsApi:
    from chalicelib.http.api import TicketsApi

    return TicketsApi(intake(), websocket_doors(), connection_table().check_room)


@cache
def market_api() -> MarketApi:
    from chalicelib.http.api import MarketApi

    return MarketApi(token_directory(), quoter())


@cache
def quoter() -> Quoter:
    from solders.pubkey import Pubkey

    from chalicelib.orders.quoting import Quoter
    from chalicelib.orders.trading import LEG_COMPUTE_UNITS
    from chalicelib.solana.compute_budget import ComputeBudget
    from chalicelib.solana.rpc import BesideTheSlot

    leg = ComputeBudget(LEG_COMPUTE_UNITS, settings().priority_fee_floor)
    reference = Pubkey.from_string(settings().reference_mint)
    market = _market(BesideTheSlot(rpc()), reference)
    return Quoter(market, leg.priority_fee_lamports, now_ms)


@cache
def health() -> HealthApi:
    from chalicelib.http.health import HealthApi, Part

    config = settings()
    # The parts are looked at on threads: what they share is made before, or under a lock.
    late, queue, control = LateOrders(order_store(), starts(), now_ms), orders_queue(), control_table()
    registry, making = pool_registry(), Lock()
    looks = late_looks()

    def slot() -> int:
        with making:
            nodes = rpc()
        return nodes.get_slot()

    def pools() -> int:
        with making:
            rpc()
        return len(registry.pools())

    parts = {
        # where the nodes' pace is limited it is for orders and quotes
        "solana": Part(lambda: {"slot": slot()}, holds_ms=_calls_apart_ms(5)),
        "pools": Part(lambda: {"registered": pools()}),
        "orders": Part(lambda: {"readable": True, "overdueSeconds": late.longest_ms() // 1000}),
        "queue": Part(lambda: {"waiting": queue.waiting()}),
        "halt": Part(lambda: {"halted": control.halt_in(GLOBAL) is not None}),
        "looks": Part(lambda: _word_of(looks.now()), holds_ms=2_000),
    }
    return HealthApi(parts, config.stage, now_ms)


def _word_of(looks: LooksNow) -> dict[str, Any]:
    return {"pairs": looks.pairs, "lateSeconds": looks.late_ms // 1000}


@cache
def openapi_document() -> dict[str, Any]:
    from chalicelib.contract.openapi import document

    return document(key_optional=settings().stage == "local")


@cache
def asyncapi_document() -> dict[str, Any]:
    from chalicelib.contract.asyncapi import document

    address = settings().websocket_url
    if address is None:
        raise NoWebSocket
    return document(address)
