"""What a swap takes of the wallet's SOL, and whether the wallet has it: told before anything is signed. Pure, lamports.

The runtime's own rules, which a transaction must keep to land at all (agave, runtime/src/rent_collector.rs and
svm/src/account_loader.rs, `validate_fee_payer`): the fee is taken first; no payment may overdraw the wallet at any
moment; and after the fee, and again at the end, the wallet must hold nothing, or what an account without data must hold
to be free of rent, or, where it held less than that before, no more than before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

from chalicelib.amounts import SOL_DECIMALS, to_text
from chalicelib.problems import InsufficientBalance
from chalicelib.solana.accounts import AccountMap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import (
    TOKEN_2022_PROGRAM,
    TOKEN_ACCOUNT_LENGTH,
    TOKEN_PROGRAM,
    InvalidTokenData,
    Mint,
    associated_account_length,
    associated_token_address,
)

# Rent counts so many bytes besides an account's own (anza-xyz/solana-sdk, rent/src/lib.rs, ACCOUNT_STORAGE_OVERHEAD).
_OVERHEAD = 128


@dataclass(frozen=True, slots=True)
class SolNeeds:
    """What a swap does to the wallet's lamports besides its fee.

    `sold` is wrapped for good; `lent` is the rent of temporary accounts, which comes back; `deposited` that of token
    accounts which stay; `bought` is the least that comes in.
    """

    sold: int = 0
    lent: int = 0
    deposited: int = 0
    bought: int = 0


@dataclass(frozen=True, slots=True)
class WalletFunds:
    """The wallet's lamports, and what an account without data must hold to be free of rent."""

    lamports: int
    rent_exempt: int

    def check(self, needs: SolNeeds, fee: int) -> None:
        """Raises InsufficientBalance, in words, where a transaction with this fee can't land."""
        lacking = self._lacking(needs, fee)
        if not lacking:
            return
        parts = (
            (fee, "for the network's fee"),
            (needs.sold, "to sell"),
            (needs.lent, "lent to the account that wraps SOL"),
            (needs.deposited, "for the rent of new token accounts"),
            (self.rent_exempt, "to be left, or nothing at all"),
        )
        needed = ", ".join(f"{_text(lamports)} {what}" for lamports, what in parts if lamports)
        raise InsufficientBalance(
            f"the wallet holds {_text(self.lamports)} SOL, {_text(lacking)} too little; the transaction needs {needed}"
        )

    def _lacking(self, needs: SolNeeds, fee: int) -> int:
        """How much more the wallet must hold for the transaction to land; 0 where it can land as it is."""
        after_fee = self.lamports - fee
        lowest = after_fee - needs.sold - needs.lent - needs.deposited
        end = lowest + needs.lent + needs.bought
        lacking = max(-lowest, 0)
        for left, before in ((after_fee, self.lamports), (end, after_fee)):
            stays_below = before < self.rent_exempt and left <= before
            if left != 0 and left < self.rent_exempt and not stays_below:
                lacking = max(lacking, self.rent_exempt - left)
        return lacking


def wallet_accounts(wallet: Pubkey, mints: Iterable[Pubkey]) -> frozenset[Pubkey]:
    """What must be read to tell what swaps of these mints take: the wallet, the mints, its accounts of each program."""
    programs = (TOKEN_PROGRAM, TOKEN_2022_PROGRAM)
    listed = tuple(mints)
    own = (associated_token_address(wallet, mint, program) for mint in listed for program in programs)
    return frozenset((wallet, *listed, *own))


def funds_in(accounts: AccountMap, wallet: Pubkey, rent_lamports: int) -> WalletFunds:
    """The wallet as it was read; `rent_lamports` is a token account's rent."""
    account = accounts[wallet]
    return WalletFunds(0 if account is None else account.lamports, _rent_of(0, rent_lamports))


def sol_needs(
    tokens: Sequence[TokenMint], amount_in: int, min_out: int, accounts: AccountMap, wallet: Pubkey, rent_lamports: int
) -> SolNeeds:
    """What a swap over `tokens` takes, from the one sold to the one bought. Amounts in their base units.

    `accounts` holds those of `wallet_accounts` for the tokens.
    """
    source, destination = tokens[0], tokens[-1]
    return SolNeeds(
        sold=amount_in if source.is_sol else 0,
        lent=sum(rent_lamports for token in tokens if token.is_sol),
        deposited=sum(_deposit(token, accounts, wallet, rent_lamports) for token in tokens[1:] if not token.is_sol),
        bought=min_out if destination.is_sol else 0,
    )


def _deposit(token: TokenMint, accounts: AccountMap, wallet: Pubkey, rent_lamports: int) -> int:
    """What opening the wallet's associated account takes: nothing where it is open."""
    held = accounts.get(associated_token_address(wallet, token.mint, token.token_program))
    if held is not None and held.owner != SYSTEM_PROGRAM:
        return 0
    length, mint = TOKEN_ACCOUNT_LENGTH, accounts.get(token.mint)
    if mint is not None:
        with suppress(InvalidTokenData):  # no pool trades it then
            length = associated_account_length(Mint.decode(token.mint, mint))
    # what somebody else sent there counts towards the rent
    return max(_rent_of(length, rent_lamports) - (0 if held is None else held.lamports), 0)


def _rent_of(length: int, rent_lamports: int) -> int:
    """The rent of an account of so many bytes, from that of a token account: rent is by the byte."""
    return rent_lamports * (_OVERHEAD + length) // (_OVERHEAD + TOKEN_ACCOUNT_LENGTH)


def _text(lamports: int) -> str:
    return to_text(lamports, SOL_DECIMALS)
