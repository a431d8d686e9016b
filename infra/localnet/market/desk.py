"""Trading on the localnet's own account: pools read from the ledger, quotes, swaps by one of its wallets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chalicelib.problems import VenueUnavailable
from chalicelib.solana.accounts import AccountsRead
from chalicelib.solana.tokens import TokenAccount, associated_token_address
from chalicelib.venues.pool_reader import read_pool
from chalicelib.venues.venue import Pool, PoolQuote, Venue
from infra.localnet.fees import MAX_COMPUTE_UNITS
from infra.localnet.ledger import Ledger
from infra.localnet.market.endowment import endowed
from infra.localnet.market.wallet import HouseWallet
from infra.localnet.message import ReadAccount
from infra.localnet.token_state import mint, token_account
from infra.localnet.transaction_log import LandedTransaction


class TradeError(Exception):
    """The trade can't be made as asked."""


@dataclass(frozen=True, slots=True)
class LandedTrade:
    """A swap that landed, successful or not. Amounts are base units; `amount_out` is what arrived."""

    landed: LandedTransaction
    quote: PoolQuote
    amount_out: int


class TradingDesk:
    """Quotes and swaps on any pool of the known venues."""

    def __init__(self, ledger: Ledger, venues: Iterable[Venue], trader: HouseWallet) -> None:
        """`trader` makes the trades that are asked for by no other wallet."""
        self._ledger = ledger
        self._venues = {venue.program_id: venue for venue in venues}
        self._trader = trader

    def pool(self, address: Pubkey, read: ReadAccount | None = None) -> Pool:
        """The pool as of now, or as `read` gives its accounts. Raises TradeError where it is none of a known venue."""
        reader = read or self._ledger.current
        account = reader(address)
        venue = None if account is None else self._venues.get(account.owner)
        if venue is None:
            raise TradeError(f"{address} is no pool of a known venue")

        def read_all(addresses: Sequence[Pubkey]) -> AccountsRead:
            return AccountsRead(self._ledger.clock.slot, {one: reader(one) for one in addresses})

        try:
            return read_pool(read_all, venue, address)
        except VenueUnavailable as error:
            raise TradeError(str(error)) from None

    def quote(self, pool: Pool, mint_in: Pubkey, amount: int) -> PoolQuote:
        """What the pool pays now. Raises ExecutionError, ValueError."""
        return pool.quote(mint_in, amount, self._ledger.clock)

    def trade(self, pool: Pool, mint_in: Pubkey, amount: int, wallet: HouseWallet | None = None) -> LandedTrade:
        """Swap exactly `amount` base units at whatever price. Raises ExecutionError, ValueError, TransactionRefused.

        A wallet that has not enough gets it out of nothing, so that the market can be moved without limit.
        """
        trader = wallet or self._trader
        transaction, quote = self.signed_swap(pool, mint_in, amount, trader)
        destination = self._held(trader.address, quote.mint_out, at_least=0)
        before = self._amount(destination)
        landed = self._ledger.submit(transaction)
        return LandedTrade(landed, quote, self._amount(destination) - before)

    def signed_swap(
        self, pool: Pool, mint_in: Pubkey, amount: int, wallet: HouseWallet, more: Sequence[Instruction] = ()
    ) -> tuple[VersionedTransaction, PoolQuote]:
        """`wallet`'s transaction that swaps exactly `amount` at whatever price, then does `more`; and its quote.

        The wallet has what it needs for it afterwards, as of `trade`. Raises ExecutionError, ValueError.
        """
        quote = self.quote(pool, mint_in, amount)
        source = self._held(wallet.address, quote.mint_in, at_least=amount)
        destination = self._held(wallet.address, quote.mint_out, at_least=0)
        swap = pool.swap_instruction(
            quote, trader=wallet.address, source=source, destination=destination, minimum_out=0
        )
        return wallet.signed([set_compute_unit_limit(MAX_COMPUTE_UNITS), swap, *more], "trade"), quote

    def _held(self, owner: Pubkey, of: Pubkey, at_least: int) -> Pubkey:
        """`owner`'s associated account of the mint, with `at_least` so many base units."""
        token = mint(of, self._ledger.current)
        if token is None:
            raise TradeError(f"{of} is no mint")
        address = associated_token_address(owner, of, token.token_program)
        held = token_account(self._ledger.current(address))
        if held is None or held.amount < at_least:
            for endowed_address, account in endowed(self._ledger.current, owner, of, at_least).items():
                self._ledger.set_account(endowed_address, account)
        return address

    def _amount(self, address: Pubkey) -> int:
        held: TokenAccount | None = token_account(self._ledger.current(address))
        return 0 if held is None else held.amount
