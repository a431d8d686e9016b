"""What the wallet holds: of each traded token, as of one slot, with what rent leaves and what it is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

from chalicelib.orders.holdings import MOST_VALUED, WalletHoldings
from chalicelib.orders.token_directory import TradedToken
from chalicelib.problems import RpcUnavailable, WalletUnavailable
from chalicelib.routing.market import Worth
from chalicelib.solana.accounts import Account, AccountMap, AccountsRead, ChainClock
from chalicelib.solana.tokens import NATIVE_MINT, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, Mint, associated_token_address
from infra.localnet.programs import token_accounts
from tests.unit.model_market import CLOCK, ModelPool, address

WALLET, USDC, LEVY, DUST = (address(number) for number in (1, 2, 3, 4))
RENT = 890_880
SOL = TradedToken(Mint(NATIVE_MINT, TOKEN_PROGRAM, 9), "SOL")


def token(mint: Pubkey, program: Pubkey = TOKEN_PROGRAM) -> TradedToken:
    return TradedToken(Mint(mint, program, 6), None)


def token_account(mint: Pubkey, owner: Pubkey, amount: int, program: Pubkey = TOKEN_PROGRAM) -> Account:
    return token_accounts.token_account(Mint(mint, program, 6), owner, amount)


def lamports(amount: int) -> Account:
    return Account(owner=SYSTEM_PROGRAM, lamports=amount, data=b"")


class Chain:
    """The wallet's accounts, and the pools that value tokens: a whole unit of each is worth two of the reference."""

    def __init__(self, accounts: AccountMap) -> None:
        self.accounts = accounts
        self.valued: list[Pubkey] = []
        self.failure: Exception | None = None

    def read(self, addresses: Sequence[Pubkey]) -> AccountsRead:
        return AccountsRead(77, {each: self.accounts.get(each) for each in addresses})

    def worths(self, mints: Iterable[Pubkey]) -> tuple[dict[Pubkey, Worth], ChainClock]:
        if self.failure is not None:
            raise self.failure
        self.valued = list(mints)
        deep = 10**15
        return {
            mint: Worth(mint, ((mint, (ModelPool(address(99), (mint, USDC), (deep, 2 * deep)),)),))
            for mint in self.valued
            if mint != DUST
        }, CLOCK


def holdings(chain: Chain, *tokens: TradedToken, wallet: str | None = str(WALLET)) -> WalletHoldings:
    return WalletHoldings(wallet, lambda: tokens, chain.read, lambda: RENT, chain.worths)


def place(mint: Pubkey, program: Pubkey = TOKEN_PROGRAM) -> Pubkey:
    return associated_token_address(WALLET, mint, program)


def test_each_token_is_what_its_account_holds_and_sol_is_the_wallets_own_lamports() -> None:
    chain = Chain(
        {
            WALLET: lamports(5 * 10**9),
            place(USDC): token_account(USDC, WALLET, 700),
            place(LEVY, TOKEN_2022_PROGRAM): token_account(LEVY, WALLET, 9, TOKEN_2022_PROGRAM),
            place(NATIVE_MINT): token_account(NATIVE_MINT, WALLET, 123),
        }
    )
    held = holdings(chain, SOL, token(USDC), token(LEVY, TOKEN_2022_PROGRAM), token(DUST))()
    assert (held.wallet, held.slot) == (str(WALLET), 77)
    assert [each.token.mint.address for each in held.tokens] == [NATIVE_MINT, USDC, LEVY, DUST]
    assert [each.amount for each in held.tokens] == [5 * 10**9, 700, 9, 0]
    assert [each.free for each in held.tokens] == [5 * 10**9 - RENT, None, None, None]
    assert [each.value for each in held.tokens] == [10**10, 1_400, 18, None]
    assert chain.valued == [NATIVE_MINT, USDC, LEVY], "what isn't held needs no price"


@pytest.mark.parametrize(("held", "free"), [(RENT, 0), (RENT - 1, 0), (0, 0), (RENT + 1, 1)])
def test_of_sol_rent_leaves_what_is_beyond_it_and_never_less_than_nothing(held: int, free: int) -> None:
    (sol,) = holdings(Chain({WALLET: lamports(held)}), SOL)().tokens
    assert (sol.amount, sol.free) == (held, free)


def test_what_lies_at_an_accounts_address_and_is_none_holds_nothing() -> None:
    for account in (lamports(10**9), token_account(LEVY, WALLET, 700)):
        (usdc,) = holdings(Chain({place(USDC): account}), token(USDC))().tokens
        assert usdc.amount == 0


def test_a_wallet_that_was_never_funded_holds_nothing() -> None:
    assert [each.amount for each in holdings(Chain({}), SOL, token(USDC))().tokens] == [0, 0]


def test_balances_are_told_also_where_no_price_can_be() -> None:
    chain = Chain({WALLET: lamports(10**9), place(DUST): token_account(DUST, WALLET, 3)})
    assert [each.value for each in holdings(chain, SOL, token(DUST))().tokens] == [2 * 10**9, None]
    chain.failure = RpcUnavailable("no node")
    assert [each.value for each in holdings(chain, SOL)().tokens] == [None]


def test_so_many_tokens_are_valued_and_no_more() -> None:
    mints = [address(100 + number) for number in range(MOST_VALUED + 1)]
    chain = Chain({place(mint): token_account(mint, WALLET, 1) for mint in mints})
    held = holdings(chain, *map(token, mints))()
    assert [each.amount for each in held.tokens] == [1] * (MOST_VALUED + 1)
    assert [each.value is None for each in held.tokens] == [False] * MOST_VALUED + [True]


@pytest.mark.parametrize(("mint", "held"), [(NATIVE_MINT, 5), (USDC, 700), (LEVY, 9), (DUST, 0), (address(50), 0)])
def test_of_one_traded_token_what_is_held_is_told_alone(mint: Pubkey, held: int) -> None:
    chain = Chain(
        {
            WALLET: lamports(5),
            place(USDC): token_account(USDC, WALLET, 700),
            place(LEVY, TOKEN_2022_PROGRAM): token_account(LEVY, WALLET, 9, TOKEN_2022_PROGRAM),
            place(address(50)): token_account(address(50), WALLET, 3),
        }
    )
    held_of = holdings(chain, SOL, token(USDC), token(LEVY, TOKEN_2022_PROGRAM), token(DUST)).of
    assert held_of(str(mint)) == held, "what isn't traded is nothing of ours"


def test_of_one_token_nothing_can_be_told_without_the_wallets_address() -> None:
    with pytest.raises(WalletUnavailable, match="address is not known"):
        holdings(Chain({}), SOL, wallet=None).of(str(NATIVE_MINT))


def test_rent_is_asked_for_once_and_only_where_sol_is_traded() -> None:
    asked: list[int] = []

    def rent() -> int:
        asked.append(1)
        return RENT

    chain = Chain({WALLET: lamports(10**9)})
    with_sol = WalletHoldings(str(WALLET), lambda: (SOL,), chain.read, rent, chain.worths)
    assert with_sol() == with_sol()
    assert len(asked) == 1
    WalletHoldings(str(WALLET), lambda: (token(USDC),), chain.read, rent, chain.worths)()
    assert len(asked) == 1


def test_without_the_wallets_address_nothing_can_be_told() -> None:
    with pytest.raises(WalletUnavailable, match="address is not known"):
        holdings(Chain({}), SOL, wallet=None)()
