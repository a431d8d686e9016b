"""What can be subscribed to on a WebSocket, and what is due to a subscriber since it was last told.

A slot is told of when it is complete at the subscription's commitment, every change at once. Source: anza-xyz/agave,
rpc/src/rpc_subscriptions.rs and rpc/src/rpc_pubsub.rs; rpc-client-api/src/response.rs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from solders.pubkey import Pubkey
from solders.signature import Signature

from chalicelib.solana.accounts import Account
from infra.localnet.commitment import Commitment
from infra.localnet.ledger import Bank
from infra.localnet.node import Node
from infra.localnet.rpc.account_filters import AccountFilter, account_filters
from infra.localnet.rpc.account_view import AccountView, account_json
from infra.localnet.rpc.answer import in_context
from infra.localnet.rpc.block_methods import DETAILS, block_json
from infra.localnet.rpc.errors import RpcError, invalid_params
from infra.localnet.rpc.params import Config, Params, parse_pubkey
from infra.localnet.rpc.settled import check_settled
from infra.localnet.rpc.transaction_view import TransactionView
from infra.localnet.transaction_log import LandedTransaction

# Slots that a subscriber is told of one by one when many have passed at once.
_MOST_SLOTS = 64
_SYSTEM_PROGRAM = Pubkey.default()
_RECEIVED = "receivedSignature"


class NodeSubscription(Protocol):
    """One subscription. `notification` is its messages' method; it ends by itself once `is_over`."""

    @property
    def notification(self) -> str: ...

    @property
    def is_over(self) -> bool: ...

    def due(self) -> Iterator[Any]:
        """The results to be told since the last call, in their order."""


class _Complete:
    """The slots that are complete at a commitment, told of once each."""

    def __init__(self, node: Node, commitment: Commitment) -> None:
        self._node = node
        self._commitment = commitment
        self.told = self.newest

    @property
    def newest(self) -> int:
        """Of the newest slot of all nothing is told: it still takes transactions."""
        return min(self._node.bank(self._commitment).slot, self._node.ledger.slot - 1)

    @property
    def bank(self) -> Bank:
        slot = self.newest
        return Bank(slot, self._node.ledger.block_height_of(slot))

    def since(self) -> range:
        """Those that were completed since the last call."""
        first, self.told = self.told + 1, self.newest
        return range(first, self.told + 1)


class _Endless:
    is_over = False


class AccountSubscription(_Endless):
    """An account's content, whenever a slot has changed it."""

    notification = "accountNotification"

    def __init__(self, node: Node, params: Params) -> None:
        self._node = node
        self._address, config = params.pubkey(0), params.config(1)
        self._view = AccountView.of(config)
        self._slots = _Complete(node, config.commitment)

    def due(self) -> Iterator[Any]:
        slots = self._slots.since()
        if self._address in self._node.ledger.changed_between(slots.start - 1, self._slots.told):
            bank = self._slots.bank
            yield in_context(bank, _shown(self._node, self._address, bank, self._view))


class ProgramSubscription(_Endless):
    """Each account of a program, whenever a slot has changed it."""

    notification = "programNotification"

    def __init__(self, node: Node, params: Params) -> None:
        self._node = node
        self._program, config = params.pubkey(0), params.config(1)
        self._view = AccountView.of(config)
        self._filters: list[AccountFilter] = account_filters(config)
        self._slots = _Complete(node, config.commitment)

    def due(self) -> Iterator[Any]:
        slots = self._slots.since()
        changed = self._node.ledger.changed_between(slots.start - 1, self._slots.told)
        bank = self._slots.bank
        for address in sorted(changed, key=bytes):
            account = self._node.ledger.account(address, bank)
            if account is None or account.owner != self._program or not all(one(account) for one in self._filters):
                continue
            shown = _shown(self._node, address, bank, self._view)
            yield in_context(bank, {"pubkey": str(address), "account": shown})


class LogsSubscription(_Endless):
    """Each transaction's logs, or those that name an account."""

    notification = "logsNotification"

    def __init__(self, node: Node, params: Params) -> None:
        self._node = node
        self._mentioned = _mentioned(params)
        self._slots = _Complete(node, params.config(1).commitment)

    def due(self) -> Iterator[Any]:
        ledger = self._node.ledger
        for slot in self._slots.since():
            for landed in ledger.transactions.of_slot(slot):
                if self._mentioned is None or self._mentioned in landed.keys:
                    bank = Bank(slot, ledger.block_height_of(slot))
                    logs = landed.meta["logMessages"]
                    value = {"signature": str(landed.signature), "err": _error(landed), "logs": logs}
                    yield in_context(bank, value)


class BlockSubscription(_Endless):
    """Each block, or what of it names an account."""

    notification = "blockNotification"

    def __init__(self, node: Node, params: Params) -> None:
        self._node = node
        self._mentioned = _mentioned_by_block(params)
        config = params.config(1)
        check_settled(config)
        self._view, self._details = TransactionView.of(config), config.text("transactionDetails") or "full"
        if self._details not in DETAILS:
            raise invalid_params(f"Invalid params: unknown transactionDetails `{self._details}`.")
        self._with_rewards = config.flag("showRewards", default=True)
        self._slots = _Complete(node, config.commitment)

    def due(self) -> Iterator[Any]:
        for slot in list(self._slots.since())[-_MOST_SLOTS:]:
            landed = [one for one in self._node.ledger.transactions.of_slot(slot) if self._is_wanted(one)]
            if self._mentioned is not None and not landed:
                continue
            bank = Bank(slot, self._node.ledger.block_height_of(slot))
            block, error = None, None
            try:
                block = block_json(
                    self._node, slot, self._view, self._details, with_rewards=self._with_rewards, landed=landed
                )
            except RpcError:
                error = {"UnsupportedTransactionVersion": max(map(TransactionView.version_of, landed))}
            yield in_context(bank, {"slot": slot, "block": block, "err": error})

    def _is_wanted(self, landed: LandedTransaction) -> bool:
        return self._mentioned is None or self._mentioned in landed.keys


class SlotSubscription(_Endless):
    """The newest slot, as soon as it begins."""

    notification = "slotNotification"

    def __init__(self, node: Node, _: Params) -> None:
        self._node = node
        self._told = node.ledger.slot

    def due(self) -> Iterator[Any]:
        slot = self._node.ledger.slot
        if slot > self._told:
            self._told = slot
            yield {"parent": slot - 1, "root": self._node.bank(Commitment.FINALIZED).slot, "slot": slot}


class RootSubscription(_Endless):
    """Each slot that has become final."""

    notification = "rootNotification"

    def __init__(self, node: Node, _: Params) -> None:
        self._slots = _Complete(node, Commitment.FINALIZED)

    def due(self) -> Iterator[Any]:
        yield from list(self._slots.since())[-_MOST_SLOTS:]


class SlotsUpdatesSubscription(_Endless):
    """What becomes of each slot: begun, frozen, confirmed, rooted. Times are Unix milliseconds."""

    notification = "slotsUpdatesNotification"

    def __init__(self, node: Node, _: Params) -> None:
        self._node = node
        self._begun = node.ledger.slot
        self._confirmed = _Complete(node, Commitment.CONFIRMED)
        self._rooted = _Complete(node, Commitment.FINALIZED)

    def due(self) -> Iterator[Any]:
        now = int(self._node.unix_time() * 1_000)
        newest = self._node.ledger.slot
        for slot in range(max(self._begun + 1, newest - _MOST_SLOTS + 1), newest + 1):
            yield {"type": "completed", "slot": slot - 1, "timestamp": now}
            yield {"type": "frozen", "slot": slot - 1, "timestamp": now, "stats": self._stats(slot - 1)}
            yield {"type": "firstShredReceived", "slot": slot, "timestamp": now}
            yield {"type": "createdBank", "slot": slot, "parent": slot - 1, "timestamp": now}
        self._begun = newest
        for kind, slots in (("optimisticConfirmation", self._confirmed), ("root", self._rooted)):
            for slot in list(slots.since())[-_MOST_SLOTS:]:
                yield {"type": kind, "slot": slot, "timestamp": now}

    def _stats(self, slot: int) -> dict[str, int]:
        landed = self._node.ledger.transactions.of_slot(slot)
        failed = sum(one.error is not None for one in landed)
        return {
            "numTransactionEntries": len(landed),
            "numSuccessfulTransactions": len(landed) - failed,
            "numFailedTransactions": failed,
            "maxTransactionsPerEntry": 1 if landed else 0,
        }


class VoteSubscription(_Endless):
    """Nobody votes: it is never told anything."""

    notification = "voteNotification"

    def __init__(self, _: Node, __: Params) -> None:
        pass

    def due(self) -> Iterator[Any]:
        return iter(())


@dataclass(slots=True)
class SignatureSubscription:
    """What became of a transaction, once it has reached the commitment; and before, if asked for, that it arrived."""

    node: Node
    signature: Signature
    commitment: Commitment
    announces_arrival: bool
    is_over: bool = False

    notification = "signatureNotification"

    @classmethod
    def of(cls, node: Node, params: Params) -> SignatureSubscription:
        config = params.config(1)
        return cls(node, params.signature(0), config.commitment, config.flag("enableReceivedNotification"))

    def due(self) -> Iterator[Any]:
        landed = self.node.ledger.transactions.get(self.signature)
        if landed is None or self.is_over:
            return
        bank = self.node.bank(self.commitment)
        if self.announces_arrival:
            self.announces_arrival = False
            yield in_context(self.node.bank(Commitment.PROCESSED), _RECEIVED)
        if landed.slot <= bank.slot:
            self.is_over = True
            yield in_context(bank, {"err": _error(landed)})


# By the method that subscribes.
KINDS: dict[str, Callable[[Node, Params], NodeSubscription]] = {
    "account": AccountSubscription,
    "program": ProgramSubscription,
    "logs": LogsSubscription,
    "block": BlockSubscription,
    "signature": SignatureSubscription.of,
    "slot": SlotSubscription,
    "root": RootSubscription,
    "slotsUpdates": SlotsUpdatesSubscription,
    "vote": VoteSubscription,
}


def _shown(node: Node, address: Pubkey, bank: Bank, view: AccountView) -> dict[str, Any]:
    """An account that is gone is shown empty."""
    account = node.ledger.account(address, bank) or Account(_SYSTEM_PROGRAM, 0, b"")
    return account_json(address, account, view, lambda other: node.ledger.account(other, bank))


def _mentioned(params: Params) -> Pubkey | None:
    """The account that a transaction must name; None where all are wanted."""
    if params.is_text(0):
        if params.text(0) not in ("all", "allWithVotes"):
            raise invalid_params(f"Invalid params: unknown filter {json.dumps(params.text(0))}.")
        return None
    mentions = Config(params.object(0)).array("mentions")
    if mentions is None or len(mentions) != 1 or not isinstance(mentions[0], str):
        raise invalid_params("Invalid Request: Only 1 address supported")
    return parse_pubkey(mentions[0])


def _mentioned_by_block(params: Params) -> Pubkey | None:
    if params.is_text(0):
        return _mentioned(params)
    named = Config(params.object(0)).text("mentionsAccountOrProgram")
    if named is None:
        raise invalid_params("Invalid params: expected `all` or `mentionsAccountOrProgram`.")
    return parse_pubkey(named)


def _error(landed: LandedTransaction) -> Any:
    return None if landed.error is None else landed.error.to_json
