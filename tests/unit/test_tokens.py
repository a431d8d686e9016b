"""Mints, token accounts and transfer fees are read as the token programs themselves read them."""

from __future__ import annotations

import base64
from dataclasses import replace
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from solders.account import Account as SvmAccount
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import TransactionMetadata

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import (
    NATIVE_MINT,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    ExtensionType,
    InvalidTokenData,
    Mint,
    TokenAccount,
    TransferFee,
    TransferFeeConfig,
    associated_token_address,
)
from infra.localnet.programs.token_accounts import mint_account, token_account

MINT, OWNER, SOURCE, DESTINATION = (Pubkey(bytes([1 + number] * 32)) for number in range(4))
SYSTEM_PROGRAM = Pubkey.default()
U64_MAX = 2**64 - 1

fees = st.builds(
    TransferFee, epoch=st.integers(0, 2_000), maximum_fee=st.integers(0, U64_MAX), basis_points=st.integers(0, 10_000)
)


def taxed(older: TransferFee, newer: TransferFee) -> Mint:
    return Mint(
        MINT,
        TOKEN_2022_PROGRAM,
        6,
        transfer_fee=TransferFeeConfig(older, newer),
        extensions=frozenset({ExtensionType.TRANSFER_FEE_CONFIG}),
    )


def with_extensions(*extensions: tuple[int, bytes]) -> Account:
    """A Token-2022 mint of 6 decimals with these extensions."""
    base = mint_account(Mint(MINT, TOKEN_2022_PROGRAM, 6), supply=1, authority=None).data
    written = b"".join(pack("<HH", kind, len(data)) + data for kind, data in extensions)
    return Account(TOKEN_2022_PROGRAM, 1, base.ljust(165, b"\0") + b"\1" + written)


class TokenLedger:
    """The real Token-2022 program, with one signer that pays for transfers and owns the source."""

    def __init__(self) -> None:
        self.signer = Keypair()
        self.svm = LiteSVM()
        self.svm.airdrop(self.signer.pubkey(), 10**12)

    def transfer(self, mint: Mint, amount: int, epoch: int) -> TokenAccount:
        """The destination after a TransferChecked of `amount`."""
        clock = self.svm.get_clock()
        clock.epoch = epoch
        self.svm.set_clock(clock)
        self._set(MINT, mint_account(mint, supply=amount, authority=OWNER))
        self._set(SOURCE, token_account(mint, self.signer.pubkey(), amount))
        self._set(DESTINATION, token_account(mint, OWNER, 0))
        accounts = [
            AccountMeta(SOURCE, is_signer=False, is_writable=True),
            AccountMeta(MINT, is_signer=False, is_writable=False),
            AccountMeta(DESTINATION, is_signer=False, is_writable=True),
            AccountMeta(self.signer.pubkey(), is_signer=True, is_writable=False),
        ]
        transfer = Instruction(mint.token_program, pack("<BQB", 12, amount, mint.decimals), accounts)
        self.svm.expire_blockhash()
        message = Message([transfer], self.signer.pubkey())
        result = self.svm.send_transaction(Transaction([self.signer], message, self.svm.latest_blockhash()))
        assert isinstance(result, TransactionMetadata), result
        after = self.svm.get_account(DESTINATION)
        assert after is not None
        return TokenAccount.decode(Account(after.owner, after.lamports, bytes(after.data)))

    def _set(self, address: Pubkey, account: Account) -> None:
        self.svm.set_account(address, SvmAccount(account.lamports, account.data, account.owner))


@pytest.fixture(scope="module")
def ledger() -> TokenLedger:
    return TokenLedger()


@settings(max_examples=60, deadline=None)
@given(older=fees, newer=fees, epoch=st.integers(0, 3_000), amount=st.integers(0, U64_MAX))
def test_a_transfer_leaves_what_the_real_program_leaves(
    ledger: TokenLedger, older: TransferFee, newer: TransferFee, epoch: int, amount: int
) -> None:
    mint = taxed(older, newer)

    assert mint.amount_after_transfer_fee(amount, epoch) == ledger.transfer(mint, amount, epoch).amount


@pytest.mark.parametrize(("epoch", "fee"), [(9, 1), (10, 2), (11, 2)])
def test_the_newer_fee_holds_from_its_epoch_on(ledger: TokenLedger, epoch: int, fee: int) -> None:
    mint = taxed(TransferFee(0, 100, 100), TransferFee(10, 100, 200))

    assert mint.transfer_fee_on(100, epoch) == fee
    assert ledger.transfer(mint, 100, epoch).amount == 100 - fee


@pytest.mark.parametrize(
    ("amount", "basis_points", "maximum_fee", "fee"),
    [
        (1, 1, 100, 1),
        (10_000, 1, 100, 1),
        (10_001, 1, 100, 2),
        (10_001, 1, 1, 1),
        (0, 10_000, 100, 0),
        (50, 10_000, 100, 50),
        (101, 10_000, 100, 100),
        (101, 0, 100, 0),
        (101, 10_000, 0, 0),
    ],
)
def test_fees_round_up_and_stop_at_the_maximum(amount: int, basis_points: int, maximum_fee: int, fee: int) -> None:
    assert TransferFee(0, maximum_fee, basis_points).fee(amount) == fee


def test_a_mint_without_transfer_fee_withholds_nothing() -> None:
    mint = Mint(MINT, TOKEN_PROGRAM, 6)

    assert mint.amount_after_transfer_fee(7, 1) == 7


@given(older=fees, newer=fees, decimals=st.integers(0, 19))
def test_a_mint_reads_as_it_was_written(older: TransferFee, newer: TransferFee, decimals: int) -> None:
    for mint in (replace(taxed(older, newer), decimals=decimals), Mint(MINT, TOKEN_PROGRAM, decimals)):
        assert Mint.decode(MINT, mint_account(mint, supply=5, authority=OWNER)) == mint


@pytest.mark.parametrize("program", [TOKEN_PROGRAM, TOKEN_2022_PROGRAM])
def test_what_is_no_initialized_mint_is_refused(program: Pubkey) -> None:
    good = mint_account(Mint(MINT, program, 6), supply=1, authority=None)
    for bad in (
        replace(good, owner=SYSTEM_PROGRAM),
        replace(good, data=good.data[:-1]),
        replace(good, data=good.data + b"\0"),
        replace(good, data=good.data[:45] + b"\0" + good.data[46:]),
        token_account(Mint(MINT, program, 6), OWNER, 1),
        replace(good, data=b""),
    ):
        with pytest.raises(InvalidTokenData):
            Mint.decode(MINT, bad)


def test_a_token_account_of_token_2022_is_no_mint_and_a_mint_no_token_account() -> None:
    mint = taxed(TransferFee(0, 1, 1), TransferFee(0, 1, 1))
    with pytest.raises(InvalidTokenData):
        Mint.decode(MINT, token_account(mint, OWNER, 1))
    with pytest.raises(InvalidTokenData):
        TokenAccount.decode(mint_account(mint, supply=1, authority=None))


def test_a_multisig_is_neither_mint_nor_token_account() -> None:
    for account_type in (1, 2):
        data = bytes(45) + b"\1" + bytes(62) + b"\1" + bytes(56) + bytes([account_type]) + bytes(189)
        assert len(data) == 355
        with pytest.raises(InvalidTokenData):
            Mint.decode(MINT, Account(TOKEN_2022_PROGRAM, 1, data))
        with pytest.raises(InvalidTokenData):
            TokenAccount.decode(Account(TOKEN_2022_PROGRAM, 1, data))


def test_an_extension_that_is_cut_short_makes_no_mint() -> None:
    whole = with_extensions((ExtensionType.METADATA_POINTER, bytes(64)))
    with pytest.raises(InvalidTokenData):
        Mint.decode(MINT, replace(whole, data=whole.data[:-1]))
    with pytest.raises(InvalidTokenData):
        Mint.decode(MINT, with_extensions((ExtensionType.TRANSFER_FEE_CONFIG, bytes(107))))


def test_padding_after_the_extensions_is_no_extension() -> None:
    whole = with_extensions((ExtensionType.METADATA_POINTER, bytes(64)))

    mint = Mint.decode(MINT, replace(whole, data=whole.data + bytes(9)))

    assert mint.extensions == {ExtensionType.METADATA_POINTER}


@pytest.mark.parametrize(
    ("kind", "data", "unsupported"),
    [
        (ExtensionType.METADATA_POINTER, bytes(64), ()),
        (ExtensionType.TOKEN_METADATA, b"any length", ()),
        (ExtensionType.INTEREST_BEARING_CONFIG, bytes(52), ()),
        (ExtensionType.SCALED_UI_AMOUNT, bytes(56), ()),
        (ExtensionType.PERMANENT_DELEGATE, bytes(32), ()),
        (ExtensionType.NON_TRANSFERABLE, b"", ("non_transferable",)),
        (ExtensionType.TRANSFER_HOOK, bytes(64), ()),
        (ExtensionType.TRANSFER_HOOK, bytes(32) + bytes(OWNER), ("transfer_hook",)),
        (ExtensionType.PAUSABLE, bytes(OWNER) + b"\0", ()),
        (ExtensionType.PAUSABLE, bytes(OWNER) + b"\1", ("pausable",)),
        (ExtensionType.DEFAULT_ACCOUNT_STATE, b"\1", ()),
        (ExtensionType.DEFAULT_ACCOUNT_STATE, b"\2", ("default_account_state",)),
        (999, b"unheard of", ("extension_999",)),
    ],
)
def test_extensions_that_break_a_plain_transfer_are_named(kind: int, data: bytes, unsupported: tuple[str, ...]) -> None:
    mint = Mint.decode(MINT, with_extensions((kind, data)))

    assert mint.unsupported_extensions == unsupported
    assert mint.extensions == {kind}


@given(amount=st.integers(0, U64_MAX))
def test_a_token_account_reads_as_it_was_written(amount: int) -> None:
    for mint in (Mint(MINT, TOKEN_PROGRAM, 6), taxed(TransferFee(0, 1, 1), TransferFee(0, 1, 1))):
        assert TokenAccount.decode(token_account(mint, OWNER, amount)) == TokenAccount(MINT, OWNER, amount)


def test_a_frozen_token_account_says_so_and_an_uninitialized_one_is_none() -> None:
    account = token_account(Mint(MINT, TOKEN_PROGRAM, 6), OWNER, 1)

    def in_state(state: int) -> Account:
        return replace(account, data=account.data[:108] + bytes([state]) + account.data[109:])

    assert not TokenAccount.decode(in_state(1)).frozen
    assert TokenAccount.decode(in_state(2)).frozen
    with pytest.raises(InvalidTokenData):
        TokenAccount.decode(in_state(0))


def test_what_is_no_token_account_is_refused() -> None:
    account = token_account(Mint(MINT, TOKEN_PROGRAM, 6), OWNER, 1)
    for bad in (
        replace(account, owner=SYSTEM_PROGRAM),
        replace(account, data=account.data[:-1]),
        replace(account, data=account.data + b"\2"),
        replace(account, owner=TOKEN_2022_PROGRAM, data=account.data + b"\1"),
    ):
        with pytest.raises(InvalidTokenData):
            TokenAccount.decode(bad)


def test_wrapped_sol_lies_in_lamports_besides_the_rent() -> None:
    account = token_account(Mint(NATIVE_MINT, TOKEN_PROGRAM, 9), OWNER, 5_000)

    assert account.lamports == 2_039_280 + 5_000


def test_associated_token_addresses_differ_by_token_program() -> None:
    owner = Pubkey.from_string("9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM")
    spl = associated_token_address(owner, NATIVE_MINT, TOKEN_PROGRAM)

    assert spl != associated_token_address(owner, NATIVE_MINT, TOKEN_2022_PROGRAM)
    assert not spl.is_on_curve()


def test_the_mint_of_wrapped_sol_is_read() -> None:
    # The account as it is on mainnet.
    data = base64.b64decode(
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
    )

    assert Mint.decode(NATIVE_MINT, Account(TOKEN_PROGRAM, 1, data)) == Mint(NATIVE_MINT, TOKEN_PROGRAM, 9)
