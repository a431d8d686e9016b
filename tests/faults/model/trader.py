"""A trader on the model cluster: its landing protocol and its reading of fills are the product's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

from chalicelib.orders.execution import Fate, PlannedSwap
from chalicelib.orders.order import Order
from chalicelib.orders.settling import Settler, WatchPolicy
from chalicelib.problems import ExecutionError, RpcUnavailable
from chalicelib.risk.limits import Exposure
from chalicelib.risk.network_fees import FeeRange
from chalicelib.solana import cluster as known_cluster
from chalicelib.solana.cluster import Commitment
from chalicelib.solana.landing import LandingPace
from chalicelib.solana.rpc import EpochInfo, SignatureStatuses
from chalicelib.solana.signed_transaction import SignedTransaction
from chalicelib.venues.supported import error_classifier
from tests.faults.model.cluster import FEE, WALLET, Cluster
from tests.faults.model.stage import PromiseBroken, Worker
from tests.sample_orders import ROUTE

# What a transaction may cost, of which the cluster takes FEE.
MOST_FEE = 8_000
PATIENCE = WatchPolicy(watch=2.0, pace=LandingPace(looks_apart=1.0, sends_apart=1.0))


def silent() -> Exception:
    return RpcUnavailable("the Solana node can't be reached")


class NodeOf:
    """One worker's SolanaRpc, as far as landing and fills need it. `on_send` sees each send before it happens."""

    def __init__(self, cluster: Cluster, worker: Worker, on_send: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._worker = worker
        self._on_send = on_send

    def one_node(self) -> Self:
        return self

    def start_waiting(self, seconds: float) -> None:
        """It has no limits."""

    def cluster(self) -> known_cluster.Cluster:
        return self._cluster.told

    def known_cluster(self) -> known_cluster.Cluster:
        return self._cluster.told

    def send_transaction(self, wire: bytes, *, skip_preflight: bool) -> str:
        signature = wire.decode()

        def send() -> str:
            self._on_send(signature)
            self._cluster.send(signature)
            return signature

        return self._worker.call("sending", send, silent)

    def get_signature_statuses(self, signatures: Sequence[str], *, search_history: bool) -> SignatureStatuses:
        if not search_history:
            raise PromiseBroken("the status cache is short: a search of it decides nothing")
        return self._worker.call("asking its status", lambda: self._cluster.signature_statuses(signatures), silent)

    def get_epoch_info(self, *, commitment: Commitment) -> EpochInfo:
        if commitment != "finalized":
            raise PromiseBroken("a height that may be taken back decides nothing")
        return self._worker.call("asking the height", self._cluster.finalized, silent)

    def get_transaction(self, signature: str, *, commitment: Commitment) -> dict[str, Any] | None:
        if commitment != self._cluster.told.settled_at:
            raise PromiseBroken("a fill is read where the cluster has settled it")
        return self._worker.call("reading the fill", lambda: self._cluster.transaction(signature), silent)


class ModelTrader:
    """A Trader that settles as the product's own does.

    `market` holds what the next readings of it run into, None for nothing.
    """

    def __init__(
        self,
        cluster: Cluster,
        worker: Worker,
        market: deque[ExecutionError | None],
        on_send: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        node = NodeOf(cluster, worker, on_send)
        self._settler = Settler(node, lambda: WALLET, error_classifier(), PATIENCE, clock, sleep)
        self._cluster = cluster
        self._worker = worker
        self._script = market

    def plan(self, order: Order) -> PlannedSwap:
        self._settler.start_invocation(order)
        self._worker.call("reading the market", lambda: self._next_trouble(), silent)
        amount_out = self._cluster.quote(order.amount)
        exposure = Exposure(value=amount_out, price_impact_ppm=0, deviation_ppm=0)
        return PlannedSwap(ROUTE, amount_out, self._sign, exposure, FeeRange(FEE, MOST_FEE))

    def watch_ms(self) -> int:
        return self._settler.watch_ms()

    def settle(self, order: Order, submission: SignedTransaction) -> Fate:
        return self._settler.settle(order, submission)

    def _sign(self, order: Order) -> SignedTransaction:
        if order.min_out is None or order.first_quoted_out is None:
            raise PromiseBroken("the floor is fixed before anything is signed")
        min_out = order.min_out
        self._worker.call("simulating", lambda: self._next_trouble(), silent)
        signed = self._worker.call(
            "reading the blockhash", lambda: self._cluster.sign(order.order_id, order.amount, min_out), silent
        )
        return SignedTransaction(signed.signature, signed.signature.encode(), "blockhash", signed.last_valid)

    def _next_trouble(self) -> None:
        error = self._script.popleft() if self._script else None
        if error is not None:
            raise error
