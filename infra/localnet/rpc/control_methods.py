"""The localnet's own methods: faults, refusals, time, trades, gifts. Served to this machine's own clients only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from infra.localnet.faults import FaultSettings
from infra.localnet.market.desk import TradeError
from infra.localnet.market.faucet import FaucetError
from infra.localnet.node import Node
from infra.localnet.rpc.errors import PREFLIGHT_FAILURE, RpcError, invalid_params
from infra.localnet.rpc.params import Config, Params, parse_pubkey
from infra.localnet.transaction_error import TransactionRefused

PREFIX = "localnet_"
_MAX_SLOTS = 10_000


class ControlMethods:
    """`table` has the methods by name. Each takes one object."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.table: dict[str, Callable[[Params], Any]] = {
            f"{PREFIX}setFaults": self.set_faults,
            f"{PREFIX}getFaults": lambda _: node.faults.settings.to_json,
            f"{PREFIX}setLane": self.set_lane,
            f"{PREFIX}getLane": lambda _: node.lane.to_json,
            f"{PREFIX}setSandwicher": self.set_sandwicher,
            f"{PREFIX}refuseSwaps": self.refuse_swaps,
            f"{PREFIX}trade": self.trade,
            f"{PREFIX}fund": self.fund,
            f"{PREFIX}advanceSlots": self.advance_slots,
            f"{PREFIX}pause": lambda _: self.pause(True),
            f"{PREFIX}resume": lambda _: self.pause(False),
        }

    def set_faults(self, params: Params) -> dict[str, Any]:
        """The faults from now on; what is not named is off. Answers with the settings in force."""
        try:
            self._node.faults.set(FaultSettings.from_json(params.object(0)))
        except ValueError as error:
            raise invalid_params(f"Invalid params: {error}.") from None
        return self._node.faults.settings.to_json

    def set_lane(self, params: Params) -> dict[str, Any]:
        """The lane's faults and its least tip from now on; what is not named is as at the start."""
        try:
            self._node.lane.set(params.object(0))
        except ValueError as error:
            raise invalid_params(f"Invalid params: {error}.") from None
        return self._node.lane.to_json

    def set_sandwicher(self, params: Params) -> dict[str, Any]:
        """Whether somebody trades around each swap that isn't protected; and how many were sandwiched so far."""
        sandwicher = self._node.sandwicher
        sandwicher.enabled = Config(params.object(0)).flag("enabled")
        return {"enabled": sandwicher.enabled, "sandwiches": sandwicher.sandwiches}

    def refuse_swaps(self, params: Params) -> list[str]:
        """The emulated programs refuse every swap of `pools` from now on, and of no other; these pools, sorted."""
        pools = Config(params.object(0)).value("pools")
        if not isinstance(pools, list) or not all(isinstance(pool, str) for pool in pools):
            raise invalid_params("Invalid params: `pools` must be a list of addresses.")
        self._node.refusing_pools.set(map(parse_pubkey, pools))
        return sorted(map(str, self._node.refusing_pools.addresses))

    def trade(self, params: Params) -> dict[str, Any]:
        """Another trader swaps `amount` base units of `mintIn` at `pool`, at any price."""
        config = Config(params.object(0))
        pool, mint_in, amount = _pubkey(config, "pool"), _pubkey(config, "mintIn"), _amount(config)
        try:
            trade = self._node.desk.trade(self._node.desk.pool(pool), mint_in, amount)
        except (TradeError, ExecutionError, ValueError, LookupError) as error:
            raise invalid_params(f"Invalid params: {error}.") from None
        except TransactionRefused as refusal:
            raise RpcError(PREFLIGHT_FAILURE, f"Transaction refused: {refusal}") from None
        failure = trade.landed.error
        return {
            "signature": str(trade.landed.signature),
            "slot": trade.landed.slot,
            "err": None if failure is None else failure.to_json,
            "mintIn": str(mint_in),
            "mintOut": str(trade.quote.mint_out),
            "amountIn": str(amount),
            "amountOut": str(trade.amount_out),
        }

    def fund(self, params: Params) -> str:
        """The faucet gives `amount` base units of `mint` (lamports without it) to `address`; its signature."""
        config = Config(params.object(0))
        address, amount = _pubkey(config, "address"), _amount(config)
        try:
            if not config.has("mint"):
                return str(self._node.faucet.airdrop(address, amount))
            return str(self._node.faucet.give(address, _pubkey(config, "mint"), amount))
        except (FaucetError, TransactionRefused) as error:
            raise RpcError(PREFLIGHT_FAILURE, str(error)) from None

    def advance_slots(self, params: Params) -> int:
        """Let `slots` pass at once; the newest slot."""
        slots = Config(params.object(0)).number("slots")
        if slots is None or not 1 <= slots <= _MAX_SLOTS:
            raise invalid_params(f"Invalid params: `slots` must be from 1 to {_MAX_SLOTS}.")
        self._node.advance(slots)
        return self._node.ledger.slot

    def pause(self, paused: bool) -> bool:
        """While paused, slots pass only by `localnet_advanceSlots`."""
        self._node.paused = paused
        return paused


def _pubkey(config: Config, name: str) -> Pubkey:
    text = config.text(name)
    if text is None:
        raise invalid_params(f"Invalid params: `{name}` is missing.")
    return parse_pubkey(text)


def _amount(config: Config) -> int:
    """Base units, as a number or, beyond 2^53, as its digits."""
    value = config.value("amount")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 64:
        raise invalid_params("Invalid params: `amount` must be a whole number of base units above zero.")
    return value
