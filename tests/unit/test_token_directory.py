"""Which tokens can be traded, by symbol or mint; and that no token passes for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from struct import pack

import pytest
from solders.pubkey import Pubkey

from chalicelib.contract.token_views import token_json
from chalicelib.orders.order import Token
from chalicelib.orders.pair import UNKNOWN_TOKEN, find_pair, find_token
from chalicelib.orders.token_directory import WELL_KNOWN_SYMBOLS, ChainTokenDirectory
from chalicelib.problems import FieldProblem, InvalidRequest, RpcUnavailable
from chalicelib.solana.accounts import Account, AccountMap
from chalicelib.solana.tokens import EXTENSIONS_OFFSET, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, ExtensionType, Mint
from infra.localnet.programs.token_accounts import mint_account
from tests.unit.model_market import address

SOL, USDC = (Pubkey.from_string(mint) for mint, symbol in WELL_KNOWN_SYMBOLS.items() if symbol in ("SOL", "USDC"))
ACME, OTHER, PLAIN = (address(number) for number in (10, 11, 12))


def named_mint(mint: Pubkey, symbol: str | bytes, decimals: int = 6, name: str = "Name") -> Account:
    """A Token-2022 mint that says its own symbol and name in its metadata extension."""
    text = symbol.encode() if isinstance(symbol, str) else symbol
    called = name.encode()
    metadata = bytes(32) + bytes(mint) + pack("<I", len(called)) + called
    metadata += pack("<I", len(text)) + text + pack("<II", 0, 0)
    base = mint_account(Mint(mint, TOKEN_PROGRAM, decimals), supply=1, authority=None).data
    data = base.ljust(EXTENSIONS_OFFSET - 1, b"\0") + b"\x01"
    data += pack("<HH", ExtensionType.TOKEN_METADATA, len(metadata)) + metadata
    return Account(owner=TOKEN_2022_PROGRAM, lamports=1, data=data)


class Chain:
    """The registered pools' mints, and their accounts."""

    def __init__(self) -> None:
        self.traded = {SOL, USDC, PLAIN}
        self.accounts: dict[Pubkey, Account] = {
            mint: mint_account(Mint(mint, TOKEN_PROGRAM, decimals), supply=1, authority=None)
            for mint, decimals in ((SOL, 9), (USDC, 6), (PLAIN, 5))
        }
        self.reads: list[set[Pubkey]] = []

    def mints(self) -> frozenset[Pubkey]:
        return frozenset(self.traded)

    def read(self, addresses: Sequence[Pubkey]) -> AccountMap:
        self.reads.append(set(addresses))
        return {key: self.accounts.get(key) for key in addresses}

    def add(self, mint: Pubkey, account: Account) -> None:
        self.traded.add(mint)
        self.accounts[mint] = account


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def directory(chain: Chain) -> ChainTokenDirectory:
    return ChainTokenDirectory(chain, chain.read)


@pytest.mark.parametrize("text", ["SOL", "sol", "Sol"])
def test_a_symbol_is_found_in_any_case_and_told_in_its_own(directory: ChainTokenDirectory, text: str) -> None:
    assert directory.find(text) == Token("SOL", str(SOL), 9)


def test_a_mint_is_found_by_its_address_with_the_chains_decimals(directory: ChainTokenDirectory) -> None:
    assert directory.find(str(PLAIN)) == Token(str(PLAIN), str(PLAIN), 5)
    assert directory.find(str(USDC)) == Token(str(USDC), str(USDC), 6)


@pytest.mark.parametrize("text", ["", "DOGE", "JUP", str(address(99)), "SOL ", " SOL", "ſol", "ＳＯＬ", "None", "\x00"])
def test_what_no_registered_pool_trades_is_not_found(directory: ChainTokenDirectory, text: str) -> None:
    """JUP is well known, but nobody trades it here; the long s is no S."""
    assert directory.find(text) is None


def test_an_address_is_exact_in_its_case(directory: ChainTokenDirectory) -> None:
    assert directory.find(str(USDC).swapcase()) is None


def test_each_mint_is_read_once_and_all_at_once(chain: Chain, directory: ChainTokenDirectory) -> None:
    for text in ("SOL", "USDC", str(PLAIN), "DOGE"):
        directory.find(text)
    assert chain.reads == [{SOL, USDC, PLAIN}]


def test_a_new_pools_token_is_found_and_only_it_is_read(chain: Chain, directory: ChainTokenDirectory) -> None:
    directory.tokens()
    chain.add(ACME, named_mint(ACME, "ACME"))
    assert directory.find("acme") == Token("ACME", str(ACME), 6)
    assert chain.reads[1:] == [{ACME}]


def test_a_token_that_is_no_longer_traded_is_no_longer_found(chain: Chain, directory: ChainTokenDirectory) -> None:
    directory.tokens()
    chain.traded.discard(USDC)
    assert directory.find("USDC") is None
    assert directory.find(str(USDC)) is None


def test_a_mint_that_is_not_there_yet_is_asked_for_again(chain: Chain, directory: ChainTokenDirectory) -> None:
    chain.traded.add(ACME)
    assert directory.find(str(ACME)) is None
    chain.accounts[ACME] = named_mint(ACME, "ACME")
    assert directory.find("ACME") is not None


@pytest.mark.parametrize("data", [b"", b"\x00" * 82, b"\x01" * 200])
def test_an_account_that_is_no_mint_takes_no_other_token_down_with_it(
    chain: Chain, directory: ChainTokenDirectory, data: bytes
) -> None:
    chain.add(ACME, Account(owner=TOKEN_2022_PROGRAM, lamports=1, data=data))
    assert directory.find("SOL") is not None
    assert directory.find(str(ACME)) is None


def test_when_the_chain_cannot_be_read_nothing_is_said_about_a_token(chain: Chain) -> None:
    def unreachable(_: Sequence[Pubkey]) -> AccountMap:
        raise RpcUnavailable("no answer")

    with pytest.raises(RpcUnavailable):
        ChainTokenDirectory(chain, unreachable).find("SOL")


# --- look-alikes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["SOL", "sol", "USDC", "JUP", "bonk", " SOL "])
def test_a_token_that_calls_itself_by_a_well_known_name_has_no_symbol_at_all(
    chain: Chain, directory: ChainTokenDirectory, symbol: str
) -> None:
    chain.add(ACME, named_mint(ACME, symbol))
    found = directory.find(symbol.strip())
    assert found is None or found.mint != str(ACME)
    assert [token.symbol for token in directory.tokens() if token.mint.address == ACME] == [None]
    assert directory.find(str(ACME)) is not None, "by its address it can be traded"


@pytest.mark.parametrize(
    "symbol", ["S\u200bOL", "SОL", "SOL\x00", "ＳＯＬ", "$SOL", "", " ", "S OL", "VERYLONGSYMBOL", b"\xff\xfeSOL"]
)
def test_a_symbol_that_is_not_short_plain_ascii_is_none(
    chain: Chain, directory: ChainTokenDirectory, symbol: str | bytes
) -> None:
    chain.add(ACME, named_mint(ACME, symbol))
    assert [token.symbol for token in directory.tokens() if token.mint.address == ACME] == [None]


def test_a_plain_mint_has_no_symbol_but_a_well_known_one(directory: ChainTokenDirectory) -> None:
    symbols = {token.mint.address: token.symbol for token in directory.tokens()}
    assert symbols == {SOL: "SOL", USDC: "USDC", PLAIN: None}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [(ACME, OTHER), (OTHER, ACME)])
def test_a_symbol_that_two_tokens_claim_means_neither_on_any_machine(
    chain: Chain, together: bool, order: tuple[Pubkey, Pubkey]
) -> None:
    """Which of them came first is remembered differently by each process: it must not decide what is bought."""
    directory = ChainTokenDirectory(chain, chain.read)
    first, second = order
    chain.add(first, named_mint(first, "ACME"))
    if not together:
        assert directory.find("ACME") is not None
    chain.add(second, named_mint(second, "acme"))
    assert directory.find("ACME") is None
    assert directory.find(str(first)) is not None
    assert directory.find(str(second)) is not None


def test_a_claim_that_is_no_longer_traded_does_not_count(chain: Chain, directory: ChainTokenDirectory) -> None:
    for mint in (ACME, OTHER):
        chain.add(mint, named_mint(mint, "ACME"))
    assert directory.find("ACME") is None
    chain.traded.discard(OTHER)
    assert directory.find("ACME") == Token("ACME", str(ACME), 6)


# --- the listing --------------------------------------------------------------------------------------------------


def test_the_listing_has_symbols_first_and_tells_what_an_order_needs(
    chain: Chain, directory: ChainTokenDirectory
) -> None:
    chain.add(ACME, named_mint(ACME, "ACME", decimals=2, name=""))
    sol, usdc = ({"name": name, "verified": True} for name in ("Solana", "USD Coin"))
    assert [token_json(token) for token in directory.tokens()] == [
        {"symbol": "ACME", "mint": str(ACME), "decimals": 2, "tokenProgram": str(TOKEN_2022_PROGRAM)},
        {"symbol": "SOL", "mint": str(SOL), "decimals": 9, "tokenProgram": str(TOKEN_PROGRAM), **sol},
        {"symbol": "USDC", "mint": str(USDC), "decimals": 6, "tokenProgram": str(TOKEN_PROGRAM), **usdc},
        {"symbol": None, "mint": str(PLAIN), "decimals": 5, "tokenProgram": str(TOKEN_PROGRAM)},
    ]


# --- pairs --------------------------------------------------------------------------------------------------------


def test_a_pair_is_two_different_tokens(directory: ChainTokenDirectory) -> None:
    token_in, token_out = find_pair(directory, "sol", str(USDC))
    assert (token_in.text, token_out.mint) == ("SOL", str(USDC))
    for same in ("SOL", str(SOL)):
        with pytest.raises(InvalidRequest) as refused:
            find_pair(directory, "SOL", same)
        assert [problem.field for problem in refused.value.problems] == ["tokenOut"]


def test_every_unknown_token_of_a_pair_is_named(directory: ChainTokenDirectory) -> None:
    for sold, bought, fields in (
        ("DOGE", "PEPE", ["tokenIn", "tokenOut"]),
        ("DOGE", "SOL", ["tokenIn"]),
        ("SOL", "PEPE", ["tokenOut"]),
    ):
        with pytest.raises(InvalidRequest) as refused:
            find_pair(directory, sold, bought)
        assert list(refused.value.problems) == [FieldProblem(field, UNKNOWN_TOKEN) for field in fields]


def test_a_token_is_found_or_its_field_is_named(directory: ChainTokenDirectory) -> None:
    assert find_token(directory, "tokenOut", "usdc").mint == str(USDC)
    with pytest.raises(InvalidRequest) as refused:
        find_token(directory, "tokenOut", "PEPE")
    assert list(refused.value.problems) == [FieldProblem("tokenOut", UNKNOWN_TOKEN)]


@pytest.mark.parametrize("kind", [ExtensionType.SCALED_UI_AMOUNT, ExtensionType.INTEREST_BEARING_CONFIG])
def test_the_listing_says_of_which_tokens_wallets_show_other_amounts(
    chain: Chain, directory: ChainTokenDirectory, kind: ExtensionType
) -> None:
    mint = named_mint(ACME, "ACME", decimals=2, name="")
    chain.add(ACME, replace(mint, data=mint.data + pack("<HH", kind, 56) + bytes(56)))
    listed = {token.symbol: token_json(token) for token in directory.tokens()}
    assert listed["ACME"] == {
        "symbol": "ACME",
        "mint": str(ACME),
        "decimals": 2,
        "tokenProgram": str(TOKEN_2022_PROGRAM),
        "scaledUi": True,
    }
    assert "scaledUi" not in listed["SOL"]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("Acme Coin", "Acme Coin"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("\u202eniocteB\u202c tellaW", "niocteB tellaW"),
        ("line\r\nbreak\x00\x1b[2J", "linebreak[2J"),
        ("x" * 1_000, "x" * 64),
        ("שקל", "שקל"),
        ("\u202e\u200f \n", None),
        ("", None),
    ],
)
def test_a_name_is_what_its_maker_wrote_as_far_as_it_can_be_shown(
    chain: Chain, directory: ChainTokenDirectory, written: str, told: str | None
) -> None:
    chain.add(ACME, named_mint(ACME, "ACME", name=written))
    (found,) = (token for token in directory.tokens() if token.mint.address == ACME)
    assert (found.name, found.verified) == (told, False)
    assert token_json(found).get("name") == told
    assert "verified" not in token_json(found)


def test_only_a_mint_that_is_known_is_verified_whatever_another_calls_itself(
    chain: Chain, directory: ChainTokenDirectory
) -> None:
    chain.add(ACME, named_mint(ACME, "USDC", name="USD Coin"))
    told = {token.mint.address: token_json(token) for token in directory.tokens()}
    assert (told[USDC]["symbol"], told[USDC]["name"], told[USDC]["verified"]) == ("USDC", "USD Coin", True)
    assert (told[ACME]["symbol"], told[ACME].get("verified")) == (None, None)


def test_what_somebody_may_still_do_to_a_tokens_holders_is_told(chain: Chain, directory: ChainTokenDirectory) -> None:
    plain = mint_account(Mint(ACME, TOKEN_PROGRAM, 6), supply=1, authority=None)
    freezable = replace(plain, data=plain.data[:46] + b"\1\0\0\0" + bytes([7] * 32) + plain.data[82:])
    chain.add(ACME, freezable)
    told = {token.mint.address: token_json(token) for token in directory.tokens()}
    assert told[ACME]["risks"] == [
        {
            "risk": "freeze-authority",
            "meaning": "somebody may freeze any account, the wallet's and the pool's too",
        }
    ]
    assert "risks" not in told[SOL]
