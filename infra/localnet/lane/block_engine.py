"""Bundles: transactions that land one after the other in one slot, all of them or none.

Source: jito-labs/jito-docs, docs/source/lowlatencytxnsend.md; jito-foundation/jito-solana, bundle/src/lib.rs
`derive_bundle_id`.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from solders.signature import Signature
from solders.transaction import VersionedTransaction

from infra.localnet.lane.tips import MINIMUM_TIP, tip_of
from infra.localnet.ledger import Ledger
from infra.localnet.transaction_error import TransactionRefused

MAX_TRANSACTIONS = 5
# An account whose address begins so, named anywhere in a transaction, keeps a bundle from having another before it.
DONT_FRONT = "jitodontfront"
_RETAINED = 1_000


class BundleRefused(Exception):
    """The block engine doesn't take the bundle."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One that was taken. `slot` is where it landed; None where it did not."""

    bundle_id: str
    signatures: tuple[Signature, ...]
    slot: int | None


class BlockEngine:
    """Lands bundles; remembers the last thousand."""

    def __init__(self, ledger: Ledger) -> None:
        self.minimum_tip = MINIMUM_TIP
        self._ledger = ledger
        self._bundles: OrderedDict[str, Bundle] = OrderedDict()

    def bundle(self, bundle_id: str) -> Bundle | None:
        return self._bundles.get(bundle_id)

    def land(self, transactions: Sequence[VersionedTransaction]) -> Bundle:
        """Land all, or none where one of them would fail. Raises BundleRefused where they are no bundle to take."""
        self._check(transactions)
        slot: int | None = self._ledger.slot
        try:
            self._ledger.submit_all(transactions)
        except TransactionRefused:
            slot = None
        return self._remembered(transactions, slot)

    def lose(self, transactions: Sequence[VersionedTransaction]) -> Bundle:
        """Take them, and let nothing come of it. Raises BundleRefused as `land` does."""
        self._check(transactions)
        return self._remembered(transactions, None)

    def _check(self, transactions: Sequence[VersionedTransaction]) -> None:
        if not transactions:
            raise BundleRefused("a bundle needs at least one transaction")
        if len(transactions) > MAX_TRANSACTIONS:
            raise BundleRefused(f"bundle exceeded maximum number of transactions; max {MAX_TRANSACTIONS}")
        if len({transaction.signatures[0] for transaction in transactions}) < len(transactions):
            raise BundleRefused("bundle contains the same transaction twice")
        if any(names_dont_front(transaction) for transaction in transactions[1:]):
            raise BundleRefused(f"a transaction that names a {DONT_FRONT} account must be the bundle's first")
        tip = sum(map(tip_of, transactions))
        if tip == 0:
            raise BundleRefused("Bundles must write lock at least one tip account to be eligible for the auction.")
        if tip < self.minimum_tip:
            raise BundleRefused(f"the bundle tips {tip} lamports; the least is {self.minimum_tip}")

    def _remembered(self, transactions: Sequence[VersionedTransaction], slot: int | None) -> Bundle:
        signatures = tuple(transaction.signatures[0] for transaction in transactions)
        bundle_id = hashlib.sha256(",".join(map(str, signatures)).encode()).hexdigest()
        bundle = self._bundles[bundle_id] = Bundle(bundle_id, signatures, slot)
        if len(self._bundles) > _RETAINED:
            self._bundles.popitem(last=False)
        return bundle


def names_dont_front(transaction: VersionedTransaction) -> bool:
    """Whether the transaction is protected from others before it in a bundle."""
    return any(str(key).startswith(DONT_FRONT) for key in transaction.message.account_keys)
