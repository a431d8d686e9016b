"""What the RPC methods act on: the ledger, its time, the faults, the market's own wallets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from infra.localnet.commitment import Commitment
from infra.localnet.faults import Faults
from infra.localnet.ledger import Bank, Ledger
from infra.localnet.market.desk import TradingDesk
from infra.localnet.market.faucet import Faucet


@dataclass(slots=True)
class Node:
    """One running localnet, without its sockets. `unix_time` gives seconds."""

    ledger: Ledger
    faucet: Faucet
    desk: TradingDesk
    unix_time: Callable[[], float]
    faults: Faults = field(default_factory=Faults)
    # While paused, slots pass only when asked for.
    paused: bool = False

    def advance(self, slots: int = 1) -> None:
        for _ in range(slots):
            self.ledger.advance(int(self.unix_time()))

    def bank(self, commitment: Commitment) -> Bank:
        return self.ledger.bank(commitment)
