"""Methods about how much there is, and who has most of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nlargest
from typing import Any

from solders.pubkey import Pubkey

from infra.localnet.node import Node
from infra.localnet.rpc.answer import in_context
from infra.localnet.rpc.banks import bank_for
from infra.localnet.rpc.errors import invalid_params
from infra.localnet.rpc.params import Params
from infra.localnet.token_state import mint, token_account
from infra.localnet.ui_amount import UiUnit

_LARGEST = 20


class SupplyMethods:
    """`table` has the methods by name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.table: dict[str, Callable[[Params], Any]] = {
            "getSupply": self.supply,
            "getLargestAccounts": self.largest_accounts,
            "getTokenLargestAccounts": self.token_largest_accounts,
        }

    def supply(self, params: Params) -> dict[str, Any]:
        """Lamports, all of which circulate: nobody has any locked up."""
        bank = bank_for(self._node, params.config(0))
        total = sum(account.lamports for _, account in self._node.ledger.accounts_at(bank))
        return in_context(
            bank, {"total": total, "circulating": total, "nonCirculating": 0, "nonCirculatingAccounts": []}
        )

    def largest_accounts(self, params: Params) -> dict[str, Any]:
        config = params.config(0)
        bank, wanted = bank_for(self._node, config), config.text("filter")
        if wanted not in (None, "circulating", "nonCirculating"):
            raise invalid_params(f"Invalid params: unknown filter `{wanted}`.")
        accounts = () if wanted == "nonCirculating" else self._node.ledger.accounts_at(bank)
        held = ((address, account.lamports) for address, account in accounts)
        return in_context(
            bank, [{"address": str(address), "lamports": lamports} for address, lamports in _largest(held)]
        )

    def token_largest_accounts(self, params: Params) -> dict[str, Any]:
        of, ledger = params.pubkey(0), self._node.ledger
        bank = bank_for(self._node, params.config(1))
        of_mint = mint(of, lambda address: ledger.account(address, bank))
        if of_mint is None:
            raise invalid_params("Invalid param: not a Token mint")
        unit = UiUnit.of(of, of_mint.decimals, lambda address: ledger.account(address, bank))
        held = (
            (address, holding.amount)
            for address, account in ledger.accounts_of(of_mint.token_program, bank)
            if (holding := token_account(account)) is not None and holding.mint == of
        )
        return in_context(bank, [{"address": str(address), **unit.show(amount)} for address, amount in _largest(held)])


def _largest(held: Iterable[tuple[Pubkey, int]]) -> list[tuple[Pubkey, int]]:
    """The most first; the same order each time where some have the same."""
    return nlargest(_LARGEST, held, key=lambda one: (one[1], bytes(one[0])))
