"""A trader that sandwiches: it buys before somebody's swap and sells after it, in one bundle with it.

It takes the dearest price that the swap's own floor still allows, whether that pays or not: a test wants to see what an
unprotected swap can lose. A swap that names a `jitodontfront` account can't be in such a bundle: the block engine
refuses it (`lane/block_engine.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from chalicelib.problems import ExecutionError
from chalicelib.solana.accounts import Account
from infra.localnet.commitment import Commitment
from infra.localnet.lane.block_engine import BlockEngine, BundleRefused
from infra.localnet.lane.tips import TIP_ACCOUNTS
from infra.localnet.ledger import Ledger
from infra.localnet.market.desk import TradeError, TradingDesk
from infra.localnet.market.wallet import HouseWallet
from infra.localnet.token_state import token_account
from infra.localnet.transaction_error import TransactionRefused

# What it buys before a swap, in parts of the swap itself, the largest first; then halfway to what was too much.
_SIZES = tuple(Fraction(numerator, 64) for numerator in (1_024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1))
_REFINEMENTS = 5


@dataclass(frozen=True, slots=True)
class _Swap:
    """What somebody's transaction sells first, and to which pool. `amount` in base units, as the pool receives it."""

    pool: Pubkey
    mint_in: Pubkey
    amount: int


class Sandwicher:
    """Off until it is `enabled`."""

    def __init__(
        self, ledger: Ledger, desk: TradingDesk, engine: BlockEngine, wallet: HouseWallet, pools: Sequence[Pubkey]
    ) -> None:
        """It knows these `pools` and trades from `wallet`."""
        self.enabled = False
        self.sandwiches = 0
        self._ledger = ledger
        self._desk = desk
        self._engine = engine
        self._wallet = wallet
        self._pools = frozenset(pools)

    def lands(self, victim: VersionedTransaction) -> bool:
        """Whether it has landed `victim` in a bundle of its own. Where it hasn't, nothing has changed."""
        if not self.enabled:
            return False
        try:
            swap = self._swap_of(victim)
            bundle = None if swap is None else self._dearest(victim, swap)
            landed = bundle is not None and self._engine.land(bundle).slot is not None
        except (BundleRefused, TradeError):
            return False
        self.sandwiches += landed
        return landed

    def _dearest(self, victim: VersionedTransaction, swap: _Swap) -> list[VersionedTransaction] | None:
        """The bundle with the largest purchase before `victim` that lets it succeed."""
        best, too_much = None, None
        for size in _SIZES:
            best = self._around(victim, swap, size)
            if best is not None:
                fits = size
                break
            too_much = size
        if best is None or too_much is None:
            return best
        for _ in range(_REFINEMENTS):
            between = (fits + too_much) / 2
            bundle = self._around(victim, swap, between)
            if bundle is None:
                too_much = between
            else:
                best, fits = bundle, between
        return best

    def _around(self, victim: VersionedTransaction, swap: _Swap, size: Fraction) -> list[VersionedTransaction] | None:
        """Purchase, `victim` and sale; None where that can't all succeed."""
        amount = max(1, int(swap.amount * size))
        try:
            front, bought = self._desk.signed_swap(self._desk.pool(swap.pool), swap.mint_in, amount, self._wallet)
            after = self._ledger.outcome_of([front, victim])

            def read(address: Pubkey) -> Account | None:
                return after[address] if address in after else self._ledger.current(address)

            pool = self._desk.pool(swap.pool, read)
            tip = transfer(
                TransferParams(
                    from_pubkey=self._wallet.address, to_pubkey=TIP_ACCOUNTS[0], lamports=self._engine.minimum_tip
                )
            )
            back, _ = self._desk.signed_swap(pool, bought.mint_out, bought.amount_out, self._wallet, [tip])
            self._ledger.outcome_of([front, victim, back])
        except (TradeError, ExecutionError, TransactionRefused, ValueError):
            return None
        return [front, victim, back]

    def _swap_of(self, victim: VersionedTransaction) -> _Swap | None:
        """The first known pool that `victim` sells to; None where it would fail, or sells to none."""
        bank = self._ledger.bank(Commitment.PROCESSED)
        try:
            execution = self._ledger.simulate(victim, bank)
            keys = self._ledger.resolve(victim, bank).keys
        except TransactionRefused:
            return None
        for pool in (key for key in keys if key in self._pools and execution.error is None):
            for side in self._desk.pool(pool).sides:
                before, after = (
                    token_account(account)
                    for account in (self._ledger.current(side.vault), execution.writes.get(side.vault))
                )
                if before is not None and after is not None and after.amount > before.amount:
                    return _Swap(pool, side.mint, after.amount - before.amount)
        return None
