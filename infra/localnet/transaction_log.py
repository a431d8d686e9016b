"""The transactions that landed, by signature, by slot and by account, newest last."""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey
from solders.signature import Signature

from infra.localnet.transaction_error import TransactionError


@dataclass(frozen=True, slots=True)
class LandedTransaction:
    """One transaction in a block. `wire` are its bytes as they were sent, `keys` all accounts it names."""

    signature: Signature
    slot: int
    block_time: int
    wire: bytes
    keys: tuple[Pubkey, ...]
    error: TransactionError | None
    memo: str | None
    # JSON, deflated: most transactions are never asked for.
    packed_meta: bytes

    @property
    def meta(self) -> dict[str, Any]:
        """`meta` as getTransaction gives it."""
        unpacked: dict[str, Any] = json.loads(zlib.decompress(self.packed_meta))
        return unpacked


def pack_meta(meta: dict[str, Any]) -> bytes:
    return zlib.compress(json.dumps(meta, separators=(",", ":")).encode(), level=1)


class TransactionLog:
    """The last `capacity` transactions; older ones are forgotten, as a validator's ledger forgets them."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._by_signature: OrderedDict[Signature, LandedTransaction] = OrderedDict()
        self._by_address: defaultdict[Pubkey, deque[LandedTransaction]] = defaultdict(deque)
        self._by_slot: dict[int, list[LandedTransaction]] = {}
        self._forgotten_up_to: int | None = None
        self.count = 0

    def __len__(self) -> int:
        return len(self._by_signature)

    def __iter__(self) -> Iterator[LandedTransaction]:
        return iter(self._by_signature.values())

    def add(self, transaction: LandedTransaction) -> None:
        self.count += 1
        self._by_signature[transaction.signature] = transaction
        self._by_slot.setdefault(transaction.slot, []).append(transaction)
        for key in transaction.keys:
            self._by_address[key].append(transaction)
        if len(self._by_signature) > self._capacity:
            self._forget_oldest()

    def get(self, signature: Signature) -> LandedTransaction | None:
        return self._by_signature.get(signature)

    def of_address(self, address: Pubkey) -> Iterator[LandedTransaction]:
        """Those that name `address`, newest first."""
        return reversed(self._by_address.get(address, deque()))

    def of_slot(self, slot: int) -> tuple[LandedTransaction, ...]:
        """Those of the slot's block, in their order."""
        return tuple(self._by_slot.get(slot, ()))

    @property
    def forgotten_up_to(self) -> int | None:
        """The newest slot of which a transaction was forgotten."""
        return self._forgotten_up_to

    def _forget_oldest(self) -> None:
        _, oldest = self._by_signature.popitem(last=False)
        self._forgotten_up_to = oldest.slot
        of_slot = self._by_slot[oldest.slot]
        of_slot.remove(oldest)
        if not of_slot:
            del self._by_slot[oldest.slot]
        for key in oldest.keys:
            of_key = self._by_address[key]
            of_key.popleft()
            if not of_key:
                del self._by_address[key]
