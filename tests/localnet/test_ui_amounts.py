"""Amounts for people's eyes are scaled as the token program and a node scale them; base units never are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from struct import Struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chalicelib.solana.accounts import CLOCK_SYSVAR, Account, ChainClock
from chalicelib.solana.tokens import TOKEN_2022_PROGRAM, ExtensionType, Mint, associated_token_address
from infra.localnet.market.tokens import TOKENS
from infra.localnet.programs.token_accounts import mint_account
from infra.localnet.runtime import Runtime
from infra.localnet.ui_amount import UiUnit
from tests.localnet import token_2022
from tests.localnet.rpc_client import NOW, PAYER, PROCESSED, RpcClient, payment

U64_MAX = (1 << 64) - 1
YEAR = 31_556_736
MINT = Pubkey([5] * 32)
LEVY = next(token.mint for token in TOKENS if token.symbol == "LEVY")
LEVY_HELD = associated_token_address(PAYER.pubkey(), LEVY.address, LEVY.token_program)
RUNTIME = Runtime()
ANYBODY = Pubkey([6] * 32)
RUNTIME.set_account(ANYBODY, Account(Pubkey.default(), 10**10, b""))

_SCALED, _INTEREST = Struct("<32xdqd"), Struct("<32xqhqh")
_AMOUNT_TO_UI_AMOUNT = 23


def scaled(multiplier: float, then: int = NOW + YEAR, new: float = 1.0) -> Callable[[Account], Account]:
    """A mint with this multiplier until `then`."""
    return token_2022.with_extension(ExtensionType.SCALED_UI_AMOUNT, _SCALED.pack(multiplier, then, new), 1)


def bearing(average_rate: int, rate: int, *, since: int, updated: int) -> Callable[[Account], Account]:
    """A mint of so many basis points a year since `since`, and other ones since `updated`."""
    config = _INTEREST.pack(since, average_rate, updated, rate)
    return token_2022.with_extension(ExtensionType.INTEREST_BEARING_CONFIG, config, 1)


def mint_of(decimals: int, *extensions: Callable[[Account], Account]) -> Account:
    account = mint_account(Mint(MINT, TOKEN_2022_PROGRAM, decimals), supply=0, authority=None)
    for extended in extensions:
        account = extended(account)
    return account


def shown(account: Account, amount: int, decimals: int, now: int = NOW) -> dict[str, Any]:
    RUNTIME.set_clock(ChainClock(500_000_000, 1_157, now), now)
    accounts = {MINT: account, CLOCK_SYSVAR: RUNTIME.get_account(CLOCK_SYSVAR)}
    return UiUnit.of(MINT, decimals, accounts.get).show(amount)


def as_the_token_program_shows_it(account: Account, amount: int, now: int = NOW) -> str:
    """By its own instruction AmountToUiAmount."""
    RUNTIME.set_clock(ChainClock(500_000_000, 1_157, now), now)
    RUNTIME.set_account(MINT, account)
    data = bytes([_AMOUNT_TO_UI_AMOUNT]) + amount.to_bytes(8, "little")
    asked = Instruction(TOKEN_2022_PROGRAM, data, [AccountMeta(MINT, is_signer=False, is_writable=False)])
    message = MessageV0.try_compile(ANYBODY, [asked], [], Hash.default())
    result = RUNTIME.execute(VersionedTransaction.populate(message, [Signature.default()]))
    assert result.error is None, result.logs
    return result.return_data.data.decode() if result.return_data is not None else ""


AMOUNTS = st.integers(0, 10**12) | st.integers(0, U64_MAX)


@given(amount=AMOUNTS, decimals=st.integers(0, 18), multiplier=st.floats(1e-9, 1e9))
def test_a_multiplier_is_applied_as_the_token_program_applies_it(amount: int, decimals: int, multiplier: float) -> None:
    account = mint_of(decimals, scaled(multiplier))
    ours = shown(account, amount, decimals)
    assert ours["uiAmountString"] == as_the_token_program_shows_it(account, amount)
    assert ours["uiAmount"] == float(ours["uiAmountString"])
    assert (ours["amount"], ours["decimals"]) == (str(amount), decimals)


@given(amount=AMOUNTS, decimals=st.integers(0, 18))
def test_without_one_the_token_program_shows_the_same_digits(amount: int, decimals: int) -> None:
    account = mint_of(decimals)
    assert shown(account, amount, decimals)["uiAmountString"] == as_the_token_program_shows_it(account, amount)


@given(
    amount=st.integers(0, 10**15),
    rates=st.tuples(st.integers(-5_000, 5_000), st.integers(-5_000, 5_000)),
    spans=st.tuples(st.integers(0, 10 * YEAR), st.integers(0, 10 * YEAR)),
)
def test_interest_is_compounded_as_the_token_program_compounds_it(
    amount: int, rates: tuple[int, int], spans: tuple[int, int]
) -> None:
    """Up to the last bit of the exponential, for which the two have libraries of their own."""
    account = mint_of(18, bearing(*rates, since=NOW - sum(spans), updated=NOW - spans[1]))
    ours, theirs = shown(account, amount, 18), as_the_token_program_shows_it(account, amount)
    assert math.isclose(float(ours["uiAmountString"]), float(theirs), rel_tol=1e-14, abs_tol=1e-18)


class TestWhatANodeShows:
    """Examples of solana-program/token-2022 (interface/src/extension) and of anza-xyz/agave (account-decoder)."""

    def test_five_percent_for_a_year(self) -> None:
        account = mint_of(18, bearing(500, 500, since=0, updated=YEAR))
        assert shown(account, 10**18, 18, now=YEAR)["uiAmountString"] == "1.051271096376024117"
        assert shown(account, 10**18, 28, now=YEAR)["uiAmountString"] == "0.0000000001051271096376024175"

    def test_what_is_too_much_for_a_number_is_none(self) -> None:
        account = mint_of(0, scaled(1.7976931348623157e308))
        huge = shown(account, U64_MAX, 0)
        assert (huge["uiAmountString"], huge["uiAmount"]) == ("inf", None)
        account = mint_of(0, bearing(32_767, 32_767, since=0, updated=0))
        assert shown(account, U64_MAX, 0, now=YEAR * 1_000)["uiAmountString"] == "inf"

    def test_spans_that_are_no_i64_show_nothing(self) -> None:
        account = mint_of(0, bearing(1, 1, since=-(1 << 63), updated=1))
        assert shown(account, 7, 0) == {"amount": "7", "decimals": 0, "uiAmount": None, "uiAmountString": ""}

    def test_twenty_decimals_are_too_many_for_a_number(self) -> None:
        assert shown(mint_of(20), 1_234_567_890, 20) == {
            "amount": "1234567890",
            "decimals": 20,
            "uiAmount": None,
            "uiAmountString": "0.0000000000123456789",
        }

    def test_interest_goes_before_a_multiplier(self) -> None:
        account = mint_of(2, scaled(3.0), bearing(0, 0, since=0, updated=0))
        assert shown(account, 100, 2)["uiAmountString"] == "1"

    def test_a_new_multiplier_holds_from_its_second_on(self) -> None:
        account = mint_of(0, scaled(5.0, then=NOW, new=10.0))
        assert shown(account, 3, 0, now=NOW - 1)["uiAmountString"] == "15"
        assert shown(account, 3, 0, now=NOW)["uiAmountString"] == "30"


class TestOverRpc:
    @pytest.fixture
    def rpc(self) -> RpcClient:
        """A market in which LEVY is shown two and a half times as much as it is."""
        client = RpcClient()
        self.edit(client, LEVY.address, scaled(2.5))
        return client

    def edit(self, rpc: RpcClient, address: Pubkey, change: Callable[[Account], Account]) -> None:
        ledger = rpc.chain.node.ledger
        account = ledger.current(address)
        assert account is not None
        ledger.set_account(address, change(account))

    def info(self, rpc: RpcClient, address: Pubkey) -> dict[str, Any]:
        config = {"encoding": "jsonParsed", **PROCESSED}
        info: dict[str, Any] = rpc.call("getAccountInfo", str(address), config)["value"]["data"]["parsed"]["info"]
        return info

    def test_every_balance_and_the_supply_are_scaled_and_their_base_units_are_not(self, rpc: RpcClient) -> None:
        balance = rpc.call("getTokenAccountBalance", str(LEVY_HELD), PROCESSED)["value"]
        held = int(balance["amount"])
        assert balance["uiAmount"] == held * 5 // 2 / 10**LEVY.decimals
        assert float(balance["uiAmountString"]) == balance["uiAmount"]
        assert self.info(rpc, LEVY_HELD)["tokenAmount"] == balance
        by_owner = rpc.call(
            "getTokenAccountsByOwner",
            str(PAYER.pubkey()),
            {"mint": str(LEVY.address)},
            {"encoding": "jsonParsed", **PROCESSED},
        )["value"]
        assert [one["account"]["data"]["parsed"]["info"]["tokenAmount"] for one in by_owner] == [balance]
        supply = rpc.call("getTokenSupply", str(LEVY.address), PROCESSED)["value"]
        assert supply["amount"] == self.info(rpc, LEVY.address)["supply"]
        assert supply["uiAmount"] == pytest.approx(int(supply["amount"]) * 2.5 / 10**LEVY.decimals)

    def test_a_transactions_balances_are_not(self, rpc: RpcClient) -> None:
        """A node writes those without looking at the mint's extensions."""
        named = Instruction(
            TOKEN_2022_PROGRAM,
            bytes([21]),  # GetAccountDataSize, which reads its mint
            [AccountMeta(key, is_signer=False, is_writable=False) for key in (LEVY.address, LEVY_HELD)],
        )
        signature = rpc.submit(rpc.transaction(named, payment(PAYER.pubkey())))
        rpc.advance(3)
        config = {"commitment": "confirmed", "maxSupportedTransactionVersion": 0}
        landed = rpc.call("getTransaction", signature, config)
        (shown,) = landed["meta"]["postTokenBalances"]
        amount = shown["uiTokenAmount"]
        assert amount["uiAmount"] == int(amount["amount"]) / 10**LEVY.decimals

    def test_a_mint_says_its_multiplier(self, rpc: RpcClient) -> None:
        states = {one["extension"]: one.get("state") for one in self.info(rpc, LEVY.address)["extensions"]}
        assert states["scaledUiAmountConfig"] == {
            "authority": None,
            "multiplier": "2.5",
            "newMultiplierEffectiveTimestamp": NOW + YEAR,
            "newMultiplier": "1",
        }


ISSUER = str(Pubkey(token_2022.ISSUER))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (token_2022.paused, {"extension": "pausableConfig", "state": {"authority": ISSUER, "paused": True}}),
        (
            token_2022.hooked,
            {"extension": "transferHook", "state": {"authority": ISSUER, "programId": str(Pubkey([92] * 32))}},
        ),
        (
            token_2022.frozen_by_default,
            {"extension": "defaultAccountState", "state": {"accountState": "frozen"}},
        ),
        (
            bearing(-25, 500, since=1, updated=2),
            {
                "extension": "interestBearingConfig",
                "state": {
                    "rateAuthority": None,
                    "initializationTimestamp": 1,
                    "preUpdateAverageRate": -25,
                    "lastUpdateTimestamp": 2,
                    "currentRate": 500,
                },
            },
        ),
        (
            token_2022.with_extension(ExtensionType.PERMANENT_DELEGATE, token_2022.ISSUER, 1),
            {"extension": "permanentDelegate", "state": {"delegate": ISSUER}},
        ),
        (token_2022.with_extension(ExtensionType.NON_TRANSFERABLE, b"", 1), {"extension": "nonTransferable"}),
        (token_2022.of_a_later_program, {"extension": "unparseableExtension"}),
        (token_2022.with_extension(ExtensionType.PAUSABLE, b"cut", 1), {"extension": "unparseableExtension"}),
    ],
)
def test_a_mints_extensions_are_told(change: Callable[[Account], Account], told: dict[str, Any]) -> None:
    rpc = RpcClient()
    address = Pubkey([51] * 32)
    rpc.chain.node.ledger.set_account(address, change(replace(mint_of(6), lamports=10**9)))
    value = rpc.call("getAccountInfo", str(address), {"encoding": "jsonParsed", **PROCESSED})["value"]
    assert value["data"]["parsed"]["info"]["extensions"] == [told]


def test_a_token_accounts_guards_are_told() -> None:
    rpc = RpcClient()
    owner = PAYER.pubkey()
    guards = [*token_2022.guard(LEVY_HELD, owner), *token_2022.ask_for_memos(LEVY_HELD, owner)]
    rpc.submit(rpc.transaction(*guards))
    value = rpc.call("getAccountInfo", str(LEVY_HELD), {"encoding": "jsonParsed", **PROCESSED})["value"]
    told = {one["extension"]: one.get("state") for one in value["data"]["parsed"]["info"]["extensions"]}
    assert told["cpiGuard"] == {"lockCpi": True}
    assert told["memoTransfer"] == {"requireIncomingTransferMemos": True}
    assert told["transferFeeAmount"] == {"withheldAmount": 0}
