"""The chain itself: slots and blockhashes, accounts by commitment, transactions simulated or landed.

A ledger is used by one thread. Its time is what `advance` is told; amounts are lamports and base units.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from solders.hash import Hash
from solders.message import Message, MessageV0, MessageV1, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import CLOCK_SYSVAR, Account, ChainClock
from infra.localnet.account_changes import AccountChanges
from infra.localnet.account_store import AccountStore
from infra.localnet.blockhashes import LIFE_IN_BLOCKS, BlockhashQueue
from infra.localnet.commitment import Commitment
from infra.localnet.consensus import ALPENGLOW, ConsensusRules
from infra.localnet.execution import ExecutionResult, Executor
from infra.localnet.message import ReadAccount, ResolvedMessage, resolve
from infra.localnet.priority_fees import PriorityFees
from infra.localnet.programs.program import EmulatedProgram
from infra.localnet.runtime import SLOTS_PER_EPOCH, Runtime
from infra.localnet.snapshot import Snapshot
from infra.localnet.transaction_error import TransactionError, TransactionRefused
from infra.localnet.transaction_log import LandedTransaction, TransactionLog, pack_meta
from infra.localnet.transaction_meta import memo, transaction_meta

# On a real cluster some slots have no block, so that heights and slots differ; a client must not confuse them.
_SLOTS_WITHOUT_BLOCK = 22_000_000
_RETAINED_TRANSACTIONS = 50_000
_SLOT_HASHES = 512
_SLOT_HASHES_SYSVAR = Pubkey.from_string("SysvarS1otHashes111111111111111111111111111")


@dataclass(frozen=True, slots=True)
class Bank:
    """The chain as of the end of one slot."""

    slot: int
    block_height: int


class Ledger:
    """One chain from its genesis on."""

    def __init__(
        self,
        runtime: Runtime,
        programs: Mapping[Pubkey, EmulatedProgram],
        accounts: Mapping[Pubkey, Account],
        *,
        genesis_hash: Hash,
        first_slot: int,
        unix_timestamp: int,
        consensus: ConsensusRules = ALPENGLOW,
    ) -> None:
        """`accounts` exist from the beginning, beside the runtime's own."""
        self.consensus = consensus
        self.genesis_hash = genesis_hash
        self.first_slot = first_slot
        self.transactions = TransactionLog(_RETAINED_TRANSACTIONS)
        self.priority_fees = PriorityFees()
        self._runtime = runtime
        self._executor = Executor(runtime, programs)
        self._store = AccountStore()
        self._changes = AccountChanges()
        self._blockhashes = BlockhashQueue(consensus.finality_lag)
        self._slot_hashes: deque[tuple[int, Hash]] = deque(maxlen=_SLOT_HASHES)
        # The slot of each message that landed while its blockhash can still be used, in order.
        self._landed_messages: dict[Hash, int] = {}
        self._block_times: dict[int, int] = {}
        # When its epoch began was before anybody looked: at the pace that slots are to have.
        self._epoch_start = unix_timestamp - first_slot % SLOTS_PER_EPOCH * consensus.slot_ms // 1_000
        self._slot = first_slot - LIFE_IN_BLOCKS - consensus.finality_lag
        self._built_in = set()
        for address, account in runtime.all_accounts():
            self._built_in.add(address)
            self._store.write(address, account, self._slot)
        # A program's account comes after its data: it is loaded from there.
        for address, account in sorted(accounts.items(), key=lambda item: item[1].executable):
            self.set_account(address, account)
        while self._slot < first_slot:
            self.advance(unix_timestamp)

    @classmethod
    def resumed(
        cls,
        runtime: Runtime,
        programs: Mapping[Pubkey, EmulatedProgram],
        accounts: Mapping[Pubkey, Account],
        snapshot: Snapshot,
        consensus: ConsensusRules = ALPENGLOW,
    ) -> Ledger:
        """The chain of `snapshot`, gone on with `accounts` in place of its own. They all count as final."""
        ledger = cls(
            runtime,
            programs,
            accounts,
            genesis_hash=snapshot.genesis_hash,
            first_slot=snapshot.slot,
            unix_timestamp=snapshot.unix_timestamp,
            consensus=consensus,
        )
        ledger.first_slot = snapshot.first_slot
        ledger._landed_messages.update(snapshot.landed_messages)
        for landed in snapshot.transactions:
            ledger.transactions.add(landed)
            ledger._block_times[landed.slot] = landed.block_time
        # In the slot that it stopped in, a wallet could make the very transaction that it made before.
        ledger.advance(snapshot.unix_timestamp)
        return ledger

    def snapshot(self) -> Snapshot:
        """What `resumed` needs."""
        return Snapshot(
            genesis_hash=self.genesis_hash,
            first_slot=self.first_slot,
            slot=self._slot,
            unix_timestamp=self.clock.unix_timestamp,
            accounts={address: account for address, account in self._store if address not in self._built_in},
            transactions=tuple(self.transactions),
            landed_messages=dict(self._landed_messages),
        )

    @property
    def genesis_slot(self) -> int:
        """The oldest slot that a reader of any commitment saw when the chain began."""
        return self.first_slot - self.consensus.finality_lag

    @property
    def slot(self) -> int:
        return self._slot

    @property
    def clock(self) -> ChainClock:
        return self.clock_at(self.bank(Commitment.PROCESSED))

    @property
    def slots_per_epoch(self) -> int:
        return SLOTS_PER_EPOCH

    def bank(self, commitment: Commitment) -> Bank:
        slot = self.consensus.slot_at(commitment, self._slot)
        return Bank(slot, slot - _SLOTS_WITHOUT_BLOCK)

    def clock_at(self, bank: Bank) -> ChainClock:
        account = self._store.at(CLOCK_SYSVAR, bank.slot)
        if account is None:
            raise LookupError("there is no clock")
        return ChainClock.decode(account.data)

    def block_time(self, slot: int) -> int | None:
        """Unix seconds, or None where there is no block of that slot."""
        return self._block_times.get(slot)

    def advance(self, unix_timestamp: int) -> None:
        """Begin the next slot at `unix_timestamp`."""
        self._slot += 1
        self._blockhashes.push(self._hash_of(self._slot), self._slot - _SLOTS_WITHOUT_BLOCK)
        epoch, index = divmod(self._slot, SLOTS_PER_EPOCH)
        self._epoch_start = unix_timestamp if index == 0 else self._epoch_start
        self._runtime.set_clock(ChainClock(self._slot, epoch, unix_timestamp), self._epoch_start)
        self._runtime.set_slot_hashes(list(self._slot_hashes))
        self._slot_hashes.appendleft((self._slot, self._hash_of(self._slot)))
        for sysvar in (CLOCK_SYSVAR, _SLOT_HASHES_SYSVAR):
            self._store.write(sysvar, self._runtime.get_account(sysvar), self._slot)
            self._changes.saw(sysvar, self._slot)
        self.priority_fees.open_block(self._slot)
        self._block_times[self._slot] = unix_timestamp
        self._forget()

    def account(self, address: Pubkey, bank: Bank) -> Account | None:
        return self._store.at(address, bank.slot)

    def accounts_of(self, program: Pubkey, bank: Bank) -> Iterator[tuple[Pubkey, Account]]:
        """Each account that `program` owns."""
        return self._store.owned_by(program, bank.slot)

    def all_accounts(self) -> Iterator[Account]:
        """Every account's present content."""
        return (account for _, account in self._store)

    def accounts_at(self, bank: Bank) -> Iterator[tuple[Pubkey, Account]]:
        """Every account as of `bank`."""
        return self._store.all_at(bank.slot)

    def current(self, address: Pubkey) -> Account | None:
        """The account as the newest slot has it so far."""
        return self._store.get(address)

    def set_account(self, address: Pubkey, account: Account | None) -> None:
        """Make `account` the content of `address` from this slot on, by no transaction: for genesis and for tests."""
        self._runtime.set_account(address, account)
        self._store.write(address, account, self._slot)
        self._changes.saw(address, self._slot)

    def changed_between(self, after: int, last: int) -> frozenset[Pubkey]:
        """Each address that was written in a slot after `after`, up to `last`; of the last thousand slots."""
        return self._changes.between(after, last)

    def rent_exempt_minimum(self, data_length: int) -> int:
        return self._runtime.rent_exempt_minimum(data_length)

    def latest_blockhash(self, bank: Bank) -> tuple[Hash, int]:
        """With the last block height at which a transaction that names it can land."""
        return self._blockhashes.at(bank.block_height), bank.block_height + LIFE_IN_BLOCKS

    def is_blockhash_valid(self, blockhash: Hash, bank: Bank) -> bool:
        return self._blockhashes.last_valid_height(blockhash, bank.block_height) is not None

    def blockhash_of(self, slot: int) -> Hash:
        """The hash of the block at `slot`."""
        return self._hash_of(slot)

    def block_height_of(self, slot: int) -> int:
        return slot - _SLOTS_WITHOUT_BLOCK

    def level_of(self, slot: int) -> Commitment:
        """The highest commitment level that `slot` has reached."""
        return self.consensus.level_of(slot, self._slot)

    def resolve_message(self, message: Message | MessageV0 | MessageV1, bank: Bank) -> ResolvedMessage:
        """`message` with its lookup tables read. Raises TransactionRefused."""
        return resolve(message, self._reader(bank), bank.slot, self.consensus.newest_version)

    def resolve(self, transaction: VersionedTransaction, bank: Bank) -> ResolvedMessage:
        """The transaction's message with its lookup tables read. Raises TransactionRefused."""
        return self.resolve_message(transaction.message, bank)

    def simulate(
        self, transaction: VersionedTransaction, bank: Bank, *, check_blockhash: bool = True
    ) -> ExecutionResult:
        """What `transaction` would do on `bank`, its signatures unchecked. Raises TransactionRefused."""
        message = self.resolve(transaction, bank)
        if check_blockhash:
            self._check_recent(transaction, message, bank)
        read = self._reader(bank)
        with self._as_of(bank, message):
            return self._executor.execute(transaction, message, read, self.clock_at(bank))

    def submit(self, transaction: VersionedTransaction) -> LandedTransaction:
        """Land `transaction`, whose signatures the caller has verified, in the newest slot.

        Raises TransactionRefused where it can't be in a block at all: its blockhash has expired, it landed before,
        nobody pays its fee.
        """
        execution = self.simulate(transaction, self.bank(Commitment.PROCESSED))
        if execution.error is not None and not execution.lands:
            raise TransactionRefused(execution.error)
        message = self.resolve(transaction, self.bank(Commitment.PROCESSED))
        landed = LandedTransaction(
            signature=transaction.signatures[0],
            slot=self._slot,
            block_time=self._block_times[self._slot],
            wire=bytes(transaction),
            keys=message.keys,
            error=execution.error,
            memo=memo(message),
            packed_meta=pack_meta(transaction_meta(message, execution, self._store.get)),
        )
        for address, account in sorted(execution.writes.items(), key=_programs_last):
            self.set_account(address, account)
        self.transactions.add(landed)
        self._landed_messages[_message_hash(transaction)] = self._slot
        self.priority_fees.record(message.budget.unit_price, message.writable_keys)
        return landed

    def outcome_of(self, transactions: Sequence[VersionedTransaction]) -> Mapping[Pubkey, Account | None]:
        """The accounts that would change if these landed in the newest slot, one after the other.

        Raises TransactionRefused for the first that would not succeed.
        """
        bank = self.bank(Commitment.PROCESSED)
        changed: dict[Pubkey, Account | None] = {}

        def read(address: Pubkey) -> Account | None:
            return changed[address] if address in changed else self._store.get(address)

        for transaction in transactions:
            message = resolve(transaction.message, read, bank.slot, self.consensus.newest_version)
            self._check_recent(transaction, message, bank)
            with self._runtime.substituted(dict(changed)):
                execution = self._executor.execute(transaction, message, read, self.clock)
            if execution.error is not None:
                raise TransactionRefused(execution.error)
            changed.update(execution.writes)
        return changed

    def submit_all(self, transactions: Sequence[VersionedTransaction]) -> tuple[LandedTransaction, ...]:
        """Land all of them in the newest slot, in this order, or none. No two may be the same.

        Raises TransactionRefused where one of them would not succeed.
        """
        self.outcome_of(transactions)
        return tuple(map(self.submit, transactions))

    def _forget(self) -> None:
        """Drop what no reader can ask for any more."""
        self._store.forget(self.consensus.slot_at(Commitment.FINALIZED, self._slot))
        self._block_times.pop(self._slot - SLOTS_PER_EPOCH, None)
        expired = self._slot - LIFE_IN_BLOCKS - self.consensus.finality_lag
        while self._landed_messages and next(iter(self._landed_messages.values())) < expired:
            del self._landed_messages[next(iter(self._landed_messages))]

    def _check_recent(self, transaction: VersionedTransaction, message: ResolvedMessage, bank: Bank) -> None:
        if not self.is_blockhash_valid(message.blockhash, bank):
            raise TransactionRefused(TransactionError("BlockhashNotFound"))
        landed_in = self._landed_messages.get(_message_hash(transaction))
        if landed_in is not None and landed_in <= bank.slot:
            raise TransactionRefused(TransactionError("AlreadyProcessed"))

    def _reader(self, bank: Bank) -> ReadAccount:
        return self._store.get if bank.slot == self._slot else lambda address: self._store.at(address, bank.slot)

    @contextmanager
    def _as_of(self, bank: Bank, message: ResolvedMessage) -> Iterator[None]:
        """Let the runtime see the accounts of `bank`."""
        if bank.slot == self._slot:
            yield
            return
        changed = self._store.changed_since(bank.slot)
        older = {key: self._store.at(key, bank.slot) for key in (*message.keys, CLOCK_SYSVAR) if key in changed}
        with self._runtime.substituted(older):
            yield

    def _hash_of(self, slot: int) -> Hash:
        return Hash(hashlib.sha256(bytes(self.genesis_hash) + slot.to_bytes(8, "little")).digest())


def _message_hash(transaction: VersionedTransaction) -> Hash:
    return Hash(hashlib.sha256(to_bytes_versioned(transaction.message)).digest())


def _programs_last(item: tuple[Pubkey, Account | None]) -> bool:
    account = item[1]
    return account is not None and account.executable
