"""An engine on a localnet of its own: the real RPC client, pool registry, market and trader, and a funded wallet."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import urllib3
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from chalicelib.orders.execution import Fate, PlannedSwap
from chalicelib.orders.life import draw_nonce, fix_floor, reserve
from chalicelib.orders.order import Order, Token
from chalicelib.orders.settling import Settler, WatchPolicy
from chalicelib.orders.trading import ChainTrader
from chalicelib.risk.counters import NetworkFees
from chalicelib.routing.market import Market, PricedPair
from chalicelib.solana.compute_budget import PriorityFeePolicy
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.solana.signing_policy import SigningPolicy
from chalicelib.solana.tips import NO_TIPS, Tips
from chalicelib.solana.tokens import NATIVE_MINT, associated_token_address
from chalicelib.solana.transaction import TransactionVersion
from chalicelib.solana.wallet import LocalWallet, Wallet
from chalicelib.venues import supported
from chalicelib.venues.meteora_dlmm.layout import PROGRAM_ID as METEORA
from chalicelib.venues.raydium_cpmm.layout import PROGRAM_ID as RAYDIUM
from chalicelib.venues.registry import PoolEntry, PoolRegistry
from infra.localnet import base58
from infra.localnet.market.genesis import genesis_market
from infra.localnet.market.tokens import TOKENS
from infra.localnet.programs.genesis_pool import GenesisPool
from infra.localnet.rpc.dispatcher import Dispatcher
from infra.localnet.startup import Options, build
from tests.http_answers import answered
from tests.sample_orders import new_order

MINTS = {token.symbol: token.mint for token in TOKENS}
TOKEN = {token.symbol: Token(token.symbol, str(token.mint.address), token.mint.decimals) for token in TOKENS}

_PATIENCE = WatchPolicy(watch=30)
# Slots enough for what was processed to be confirmed.
_CONFIRMED = 3
_order_numbers = count(1)


def genesis_pools(programs: Sequence[Pubkey] = (RAYDIUM, METEORA)) -> dict[frozenset[str], list[PoolEntry]]:
    """The genesis market's pools of `programs` by the symbols that they trade: of each pair one of each, in order."""
    pools: dict[frozenset[str], list[PoolEntry]] = {}
    listed = [pool for pool in genesis_market(seed=0).pools if pool.program in programs]
    for pool in sorted(listed, key=lambda pool: programs.index(pool.program)):
        pair = frozenset((pool.base.symbol, pool.quote.symbol))
        pools.setdefault(pair, []).append(PoolEntry(str(pool.address), str(pool.program)))
    return pools


def raydium(pool: GenesisPool) -> PoolEntry:
    return PoolEntry(str(pool.address), str(RAYDIUM))


def meteora(pool: GenesisPool) -> PoolEntry:
    return PoolEntry(str(pool.address), str(METEORA))


def dump_accounts(directory: Path, pools: Iterable[GenesisPool]) -> None:
    """Files for the localnet's --account-dir."""
    for pool in pools:
        for address, account in pool.accounts.items():
            data = [base64.b64encode(account.data).decode(), "base64"]
            value = {"lamports": account.lamports, "owner": str(account.owner), "data": data, "executable": False}
            (directory / f"{address}.json").write_text(json.dumps({"pubkey": str(address), "account": value}))


class ServedChain(Protocol):
    """A localnet: in a process of its own, or in this one."""

    @property
    def url(self) -> str: ...

    def call(self, method: str, *params: Any) -> Any: ...


class CountingHttp(urllib3.PoolManager):
    """Notes the JSON-RPC method of each request, and what it names first: a batch's are those of its first call."""

    def __init__(self) -> None:
        super().__init__(maxsize=2)
        self.methods: list[str] = []
        self.asked: list[tuple[str, Any]] = []

    def request(self, method: str, url: str, **more: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        calls = json.loads(more["body"])
        call = calls[0] if isinstance(calls, list) else calls
        self.methods.append(call["method"])
        self.asked.append((call["method"], next(iter(call["params"]), None)))
        return super().request(method, url, **more)


class InProcessChain:
    """A localnet in this process whose clock stands still: slots pass when somebody waits for them."""

    url = "http://in-process"

    def __init__(self, options: Options, unix_time: int) -> None:
        self.unix_time = unix_time
        self.chain = build(options, lambda: self.unix_time)
        self._dispatcher = Dispatcher.of_node(self.chain.node)

    def call(self, method: str, *params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = json.loads(self.answer(json.dumps(request).encode()))
        assert "error" not in answer, answer
        return answer["result"]

    def answer(self, body: bytes) -> bytes:
        return self._dispatcher.answer(body, local_client=True)

    def wait(self, seconds: float) -> None:
        """A slot passes, however long it is to be."""
        self.chain.node.advance()


class InProcessHttp(CountingHttp):
    """Connections to a localnet in this process: urllib3's own, up to where a socket would be opened."""

    def __init__(self, chain: InProcessChain) -> None:
        super().__init__()
        self._chain = chain

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]
        return answered(self._chain.answer(options["body"]), options)


@dataclass(frozen=True, slots=True)
class Executed:
    """An order that was planned, sent and brought to its fate."""

    planned: PlannedSwap
    submission: SignedTransaction
    fate: Fate
    transaction: dict[str, Any]

    @property
    def fee(self) -> int:
        return int(self.transaction["meta"]["fee"])

    @property
    def swaps(self) -> list[tuple[str, int, int]]:
        """Of each swap instruction its program, the amount in and the floor, as they stand in the transaction."""
        message = self.transaction["transaction"]["message"]
        found = []
        for instruction in message["instructions"]:
            program = message["accountKeys"][instruction["programIdIndex"]]
            if program in (str(RAYDIUM), str(METEORA)):
                data = base58.decode(instruction["data"])
                found.append((program, int.from_bytes(data[8:16], "little"), int.from_bytes(data[16:24], "little")))
        return found


class Engine:
    """What one Lambda would have, for the pools in `entries`."""

    def __init__(
        self,
        chain: ServedChain,
        wallet: Wallet | Keypair,
        entries: Iterable[PoolEntry],
        version: TransactionVersion = 1,
        tips: Tips = NO_TIPS,
        now_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        lines = tuple(entries)
        self.chain = chain
        sleep: Callable[[float], None] = time.sleep
        self.http = CountingHttp()
        if isinstance(chain, InProcessChain):
            self.http, sleep = InProcessHttp(chain), chain.wait
        self.rpc = SolanaRpc(chain.url, http=self.http)
        self.wallet = wallet if not isinstance(wallet, Keypair) else LocalWallet(wallet)
        registry = PoolRegistry(
            lambda: lines,
            lambda addresses: self.rpc.get_multiple_accounts(addresses).accounts,
            supported.VENUES,
            lambda: 0,
        )
        self.market = Market(self.rpc, registry, lambda: 0, version=version, with_tip=tips.lamports > 0)
        self.trader = ChainTrader(
            self.rpc,
            self.market,
            self.wallet,
            SigningPolicy(supported.VENUES, registry.tradable, 2_800_000, tips.accounts),
            supported.error_classifier(),
            PriorityFeePolicy(),
            Settler(
                self.rpc,
                lambda: self.wallet.address,
                supported.error_classifier(),
                _PATIENCE,
                time.monotonic,
                sleep,
            ),
            now_ms,
            version,
            tips,
        )

    def order(self, sold: str, bought: str, amount: int, slippage_ppm: int = 10_000) -> Order:
        order = new_order(
            str(UUID(int=next(_order_numbers))),
            token_in=TOKEN[sold],
            token_out=TOKEN[bought],
            amount=amount,
            slippage_ppm=slippage_ppm,
        )
        return draw_nonce(order, secrets.token_hex())

    def price(self, sold: str, bought: str, amount: int) -> PricedPair:
        return self.market.price(
            MINTS[sold].address, MINTS[bought].address, amount, leg_lamports=self.trader.leg_lamports()
        )

    def execute(self, order: Order) -> Executed:
        planned = self.trader.plan(order)
        return self.settle(order, planned, self.build(order, planned))

    def build(self, order: Order, planned: PlannedSwap) -> SignedTransaction:
        """The planned swap's transaction for the order as it is stored: its floor fixed, its fees reserved."""
        most = min(planned.fees.most, planned.fees.most if order.max_network_fee is None else order.max_network_fee)
        return planned.build(reserve(fix_floor(order, planned.quoted_out), None, NetworkFees("2026-01-01", most)))

    def settle(self, order: Order, planned: PlannedSwap, submission: SignedTransaction) -> Executed:
        fate = self.trader.settle(order, submission)
        transaction = self.rpc.get_transaction(submission.signature)
        assert transaction is not None, fate
        return Executed(planned, submission, fate, transaction)

    def balance(self, symbol: str) -> int:
        """What the wallet holds: lamports for SOL, whose wrapped form orders leave alone."""
        mint = MINTS[symbol]
        if mint.address == NATIVE_MINT:
            return int(self.chain.call("getBalance", str(self.wallet.address), {"commitment": "confirmed"})["value"])
        address = associated_token_address(self.wallet.address, mint.address, mint.token_program)
        held = self.chain.call("getTokenAccountBalance", str(address), {"commitment": "confirmed"})
        return int(held["value"]["amount"])

    def signatures(self) -> int:
        """How many transactions the wallet has been part of."""
        return len(self.chain.call("getSignaturesForAddress", str(self.wallet.address), {"commitment": "confirmed"}))

    def another_trader_sells(self, pool: str | Pubkey, symbol: str, amount: int) -> dict[str, Any]:
        """At any price; when it returns, the trade is confirmed."""
        config = {"pool": str(pool), "mintIn": str(MINTS[symbol].address), "amount": str(amount)}
        trade: dict[str, Any] = self.chain.call("localnet_trade", config)
        assert trade["err"] is None
        self.chain.call("localnet_advanceSlots", {"slots": _CONFIRMED})
        return trade
