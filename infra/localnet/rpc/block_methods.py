"""Methods about blocks: each slot of the localnet has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from infra.localnet.node import Node
from infra.localnet.rpc.errors import BLOCK_CLEANED_UP, BLOCK_NOT_AVAILABLE, RpcError, invalid_params
from infra.localnet.rpc.params import Config, Params
from infra.localnet.rpc.settled import settled_bank
from infra.localnet.rpc.transaction_view import TransactionView
from infra.localnet.transaction_log import LandedTransaction

_MAX_BLOCKS = 500_000
DETAILS = ("full", "accounts", "signatures", "none")


class BlockMethods:
    """`table` has the methods by name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.table: dict[str, Callable[[Params], Any]] = {
            "getBlock": self.block,
            "getBlocks": self.blocks,
            "getBlocksWithLimit": self.blocks_with_limit,
            "getBlockTime": self.block_time,
            "getFirstAvailableBlock": lambda _: node.first_available_block,
            "minimumLedgerSlot": lambda _: node.first_available_block,
        }

    def block(self, params: Params) -> dict[str, Any]:
        """Raises RpcError -32001 for one that is forgotten, -32004 for one that isn't there yet at the commitment."""
        slot = params.number(0)
        # A bare string here is an encoding, not a commitment.
        config = params.config(1) if not params.is_text(1) else Config({"encoding": params.text(1)})
        view, details = TransactionView.of(config), config.text("transactionDetails") or "full"
        if details not in DETAILS:
            raise invalid_params(f"Invalid params: unknown transactionDetails `{details}`.")
        newest = settled_bank(self._node, config).slot
        self._check_available(slot, newest)
        with_rewards = config.flag("rewards", default=True)
        landed = self._node.ledger.transactions.of_slot(slot)
        return block_json(self._node, slot, view, details, with_rewards=with_rewards, landed=landed)

    def blocks(self, params: Params) -> list[int]:
        """The slots from the first number to the second, both included, or to the newest of the commitment."""
        first, has_last = params.number(0), params.is_number(1)
        newest = settled_bank(self._node, params.config(2 if has_last or len(params) > 2 else 1)).slot
        last = min(params.number(1), newest) if has_last else newest
        if last - first > _MAX_BLOCKS:
            raise invalid_params(f"Slot range too large; max {_MAX_BLOCKS}")
        return self._known(first, last)

    def blocks_with_limit(self, params: Params) -> list[int]:
        first, limit = params.number(0), params.number(1)
        if limit > _MAX_BLOCKS:
            raise invalid_params(f"Limit too large; max {_MAX_BLOCKS}")
        newest = settled_bank(self._node, params.config(2)).slot
        first = max(first, self._node.first_available_block)
        return self._known(first, min(newest, first + limit - 1))

    def block_time(self, params: Params) -> int:
        slot = params.number(0)
        time = self._node.ledger.block_time(slot)
        if time is None:
            raise RpcError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")
        return time

    def _known(self, first: int, last: int) -> list[int]:
        return list(range(max(first, self._node.first_available_block), last + 1))

    def _check_available(self, slot: int, newest: int) -> None:
        first = self._node.first_available_block
        if slot < first:
            raise RpcError(
                BLOCK_CLEANED_UP,
                f"Block {slot} cleaned up, does not exist on node. First available block: {first}",
                {"firstAvailableBlock": first},
            )
        if slot > newest:
            raise RpcError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")


def block_json(
    node: Node,
    slot: int,
    view: TransactionView,
    details: str,
    *,
    with_rewards: bool,
    landed: Sequence[LandedTransaction],
) -> dict[str, Any]:
    """The block as getBlock shows it, with its transactions `landed`.

    Raises RpcError -32015 where `view` doesn't know the version of one that is to be shown.
    """
    ledger = node.ledger
    block: dict[str, Any] = {
        "blockhash": str(ledger.blockhash_of(slot)),
        "previousBlockhash": str(ledger.blockhash_of(slot - 1)),
        "parentSlot": slot - 1,
        "blockHeight": ledger.block_height_of(slot),
        "blockTime": ledger.block_time(slot),
    }
    if details == "full":
        block["transactions"] = [view.render(one) for one in landed]
    elif details == "accounts":
        block["transactions"] = [view.render_accounts(one) for one in landed]
    elif details == "signatures":
        block["signatures"] = [str(one.signature) for one in landed]
    if with_rewards:
        block["rewards"] = []  # nobody leads or stakes here
    return block
