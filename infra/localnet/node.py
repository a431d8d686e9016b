"""What the RPC methods act on: the ledger, its time, the faults, the market's own wallets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from infra.localnet.commitment import Commitment
from infra.localnet.faults import Faults
from infra.localnet.lane.lane import SendLane
from infra.localnet.ledger import Bank, Ledger
from infra.localnet.market.desk import TradingDesk
from infra.localnet.market.faucet import Faucet
from infra.localnet.market.sandwicher import Sandwicher
from infra.localnet.performance import PerformanceSamples
from infra.localnet.programs.refusing_pools import RefusingPools
from infra.localnet.transaction_error import TransactionRefused


@dataclass(slots=True)
class Node:
    """One running localnet, without its sockets. `unix_time` gives seconds."""

    ledger: Ledger
    faucet: Faucet
    desk: TradingDesk
    unix_time: Callable[[], float]
    lane: SendLane
    sandwicher: Sandwicher
    # Who leads every slot.
    identity: Pubkey
    faults: Faults = field(default_factory=Faults)
    refusing_pools: RefusingPools = field(default_factory=RefusingPools)
    # While paused, slots pass only when asked for.
    paused: bool = False
    performance: PerformanceSamples = field(init=False)

    def __post_init__(self) -> None:
        ledger = self.ledger
        self.performance = PerformanceSamples(ledger.slot, ledger.transactions.count, self.unix_time())

    def advance(self, slots: int = 1) -> None:
        for _ in range(slots):
            now = self.unix_time()
            self.ledger.advance(int(now))
            self.performance.saw(self.ledger.slot, self.ledger.transactions.count, now)

    @property
    def first_available_block(self) -> int:
        """The oldest slot whose block is known whole."""
        forgotten = self.ledger.transactions.forgotten_up_to
        return self.ledger.genesis_slot if forgotten is None else forgotten + 1

    def land(self, transaction: VersionedTransaction) -> None:
        """A signed transaction arrives, at the node or by the lane: it lands, or never shows up."""
        try:
            if not self.sandwicher.lands(transaction):
                self.ledger.submit(transaction)
        except TransactionRefused:
            # Past its preflight nobody tells the sender that a transaction can't land.
            return

    def bank(self, commitment: Commitment) -> Bank:
        return self.ledger.bank(commitment)
