"""An order's transaction, tried without a signature: by the wallet's address alone, which may be public."""

from __future__ import annotations

from collections.abc import Callable

from solders.pubkey import Pubkey

from chalicelib.orders.dry_run import Trial
from chalicelib.problems import ExecutionError
from chalicelib.routing.router import Route
from chalicelib.routing.swap_plan import Trade, plan_swap
from chalicelib.solana.compute_budget import PriorityFeePolicy
from chalicelib.solana.program_errors import ErrorClassifier
from chalicelib.solana.rpc import SolanaRpc
from chalicelib.solana.simulation import Simulated, VersionRefused, simulate
from chalicelib.solana.tips import NO_TIPS, Tips
from chalicelib.solana.tokens import TOKEN_ACCOUNT_LENGTH
from chalicelib.solana.transaction import OrderMemo, SwapPlan, TransactionVersion

# Of the length of an order's own: the memo is part of what is burned.
_MEMO = OrderMemo("00000000-0000-0000-0000-000000000000", 1)


def _not_asked(fee: int) -> None:
    """The simulation itself tells where the wallet can't pay."""


class RouteTrial:
    """The Simulator of dry_run.py. `wallet` is None where the deploy did not tell its address.

    `new_nonce` gives another random text each time: a trial's accounts can be foretold as little as an attempt's.
    """

    def __init__(
        self,
        rpc: SolanaRpc,
        wallet: Pubkey | None,
        errors: ErrorClassifier,
        fees: PriorityFeePolicy,
        new_nonce: Callable[[], str],
        version: TransactionVersion = 1,
        tips: Tips = NO_TIPS,
    ) -> None:
        self._version = version
        self._tips = tips
        self._rpc = rpc
        self._wallet = wallet
        self._errors = errors
        self._fees = fees
        self._new_nonce = new_nonce

    def __call__(self, route: Route, min_out: int, most_lamports: int) -> Trial:
        """Simulate the route with this floor and at most such a fee; what fails is the trial's error."""
        if self._wallet is None:
            return Trial(error="the wallet's address is not known here, so nothing can be simulated")
        try:
            rent = self._rpc.get_minimum_balance_for_rent_exemption(TOKEN_ACCOUNT_LENGTH)
            tip = self._tips.tip_for(_MEMO.order_id)
            plan = plan_swap(route, Trade(self._wallet, _MEMO, rent, self._new_nonce(), tip), min_out)
            try:
                simulated = self._simulate(plan, self._version, most_lamports)
            except VersionRefused:
                simulated = self._simulate(plan, 0, most_lamports)
        except ExecutionError as error:
            return Trial(error=str(error))
        fee = simulated.budget.network_fee_lamports + plan.tip_lamports
        return Trial(units_consumed=simulated.units_consumed, network_fee=fee)

    def _simulate(self, plan: SwapPlan, version: TransactionVersion, most_lamports: int) -> Simulated:
        return simulate(self._rpc, plan, version, self._fees, self._errors, most_lamports, check_wallet=_not_asked)
