"""What the wallet holds of the tokens that are traded, and what that is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from solders.pubkey import Pubkey

from chalicelib.log import logger
from chalicelib.orders.token_directory import TradedToken
from chalicelib.problems import ExecutionError, WalletUnavailable
from chalicelib.risk.reference_price import value_of_amount
from chalicelib.routing.market import Worth
from chalicelib.solana.accounts import AccountMap, AccountsRead, ChainClock
from chalicelib.solana.tokens import NATIVE_MINT, InvalidTokenData, TokenAccount, associated_token_address

# How many tokens that are held are valued: each takes the accounts of the pools that price it.
MOST_VALUED = 50


@dataclass(frozen=True, slots=True)
class HeldToken:
    """Base units that the wallet holds; `free` of SOL what rent doesn't take; `value` in the reference's base units."""

    token: TradedToken
    amount: int
    free: int | None = None
    value: int | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What `wallet` (base58) holds of each traded token, as of `slot`."""

    wallet: str
    slot: int
    tokens: tuple[HeldToken, ...]


class Valuation(Protocol):
    """How tokens are valued: Market.worths."""

    def __call__(self, mints: Iterable[Pubkey]) -> tuple[dict[Pubkey, Worth], ChainClock]: ...


class WalletHoldings:
    """The wallet's accounts, as swaps use them: SOL itself, and of each other token the associated account."""

    def __init__(
        self,
        wallet: str | None,
        tokens: Callable[[], Sequence[TradedToken]],
        read_accounts: Callable[[Sequence[Pubkey]], AccountsRead],
        rent_exempt: Callable[[], int],
        worths: Valuation,
    ) -> None:
        """`wallet` is None where the deploy did not tell its address; `rent_exempt` lamports of an empty account."""
        self._wallet = None if wallet is None else Pubkey.from_string(wallet)
        self._tokens = tokens
        self._read_accounts = read_accounts
        self._rent_exempt = cache(rent_exempt)  # the cluster's own, the same for as long as a process lives
        self._worths = worths

    def __call__(self) -> Holdings:
        """Every traded token's amount. Raises WalletUnavailable without the wallet's address, RpcUnavailable."""
        wallet = self._wallet
        if wallet is None:
            raise WalletUnavailable("the wallet's address is not known here: this stage's deploy could not read it")
        traded = tuple(self._tokens())
        places = {token.mint.address: _place(wallet, token) for token in traded}
        read = self._read_accounts([wallet, *places.values()])
        amounts = {mint: _amount(mint, place, read.accounts) for mint, place in places.items()}
        values = self._values({mint: amount for mint, amount in amounts.items() if amount})
        rent = self._rent_exempt() if NATIVE_MINT in amounts else 0
        held = (
            HeldToken(
                token,
                amounts[mint := token.mint.address],
                free=max(amounts[mint] - rent, 0) if mint == NATIVE_MINT else None,
                value=values.get(mint),
            )
            for token in traded
        )
        return Holdings(str(wallet), read.slot, tuple(held))

    def of(self, mint: str) -> int:
        """Base units of a traded token, by its mint. Raises WalletUnavailable, RpcUnavailable."""
        if self._wallet is None:
            raise WalletUnavailable("the wallet's address is not known here: this stage's deploy could not read it")
        token = next((one for one in self._tokens() if str(one.mint.address) == mint), None)
        if token is None:
            return 0
        place = _place(self._wallet, token)
        return _amount(token.mint.address, place, self._read_accounts([place]).accounts)

    def _values(self, amounts: Mapping[Pubkey, int]) -> dict[Pubkey, int]:
        """Those that can be told: what is held is told also where no price is."""
        try:
            worths, clock = self._worths(list(amounts)[:MOST_VALUED])
        except ExecutionError as error:
            logger.info("holdings not valued", error=str(error))
            return {}
        values = {mint: value_of_amount(worth, amounts[mint], clock) for mint, worth in worths.items()}
        return {mint: value for mint, value in values.items() if value is not None}


def _place(wallet: Pubkey, token: TradedToken) -> Pubkey:
    mint = token.mint
    is_sol = mint.address == NATIVE_MINT
    return wallet if is_sol else associated_token_address(wallet, mint.address, mint.token_program)


def _amount(mint: Pubkey, place: Pubkey, accounts: AccountMap) -> int:
    account = accounts.get(place)
    if account is None:
        return 0
    if mint == NATIVE_MINT:
        return account.lamports
    try:
        held = TokenAccount.decode(account)
    except InvalidTokenData:
        return 0  # not opened: somebody only sent lamports there
    return held.amount if held.mint == mint else 0
