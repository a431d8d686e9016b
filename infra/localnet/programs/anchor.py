"""The checks that every Anchor program makes of its accounts, with Anchor's error codes.

Source: coral-xyz/anchor, lang/src/error.rs (codes, messages) and lang/src/accounts (what each account type checks).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import (
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
    InvalidTokenData,
    Mint,
    TokenAccount,
)
from infra.localnet.programs.program import ProgramError

INSTRUCTION_FALLBACK_NOT_FOUND = 101
INSTRUCTION_DID_NOT_DESERIALIZE = 102
CONSTRAINT_MUT = 2000
CONSTRAINT_HAS_ONE = 2001
CONSTRAINT_RAW = 2003
CONSTRAINT_SEEDS = 2006
CONSTRAINT_ADDRESS = 2012
CONSTRAINT_TOKEN_MINT = 2014
CONSTRAINT_TOKEN_TOKEN_PROGRAM = 2021
REQUIRE_EQ_VIOLATED = 2501
REQUIRE_GT_VIOLATED = 2505
ACCOUNT_DISCRIMINATOR_NOT_FOUND = 3001
ACCOUNT_DISCRIMINATOR_MISMATCH = 3002
ACCOUNT_DID_NOT_DESERIALIZE = 3003
ACCOUNT_NOT_ENOUGH_KEYS = 3005
ACCOUNT_NOT_MUTABLE = 3006
ACCOUNT_OWNED_BY_WRONG_PROGRAM = 3007
INVALID_PROGRAM_ID = 3008
ACCOUNT_NOT_SIGNER = 3010
ACCOUNT_NOT_INITIALIZED = 3012

_ERRORS = {
    INSTRUCTION_FALLBACK_NOT_FOUND: ("InstructionFallbackNotFound", "Fallback functions are not supported"),
    INSTRUCTION_DID_NOT_DESERIALIZE: (
        "InstructionDidNotDeserialize",
        "The program could not deserialize the given instruction",
    ),
    CONSTRAINT_MUT: ("ConstraintMut", "A mut constraint was violated"),
    CONSTRAINT_HAS_ONE: ("ConstraintHasOne", "A has one constraint was violated"),
    CONSTRAINT_RAW: ("ConstraintRaw", "A raw constraint was violated"),
    CONSTRAINT_SEEDS: ("ConstraintSeeds", "A seeds constraint was violated"),
    CONSTRAINT_ADDRESS: ("ConstraintAddress", "An address constraint was violated"),
    CONSTRAINT_TOKEN_MINT: ("ConstraintTokenMint", "A token mint constraint was violated"),
    CONSTRAINT_TOKEN_TOKEN_PROGRAM: (
        "ConstraintTokenTokenProgram",
        "A token account token program constraint was violated",
    ),
    REQUIRE_EQ_VIOLATED: ("RequireEqViolated", "A require_eq expression was violated"),
    REQUIRE_GT_VIOLATED: ("RequireGtViolated", "A require_gt expression was violated"),
    ACCOUNT_DISCRIMINATOR_NOT_FOUND: (
        "AccountDiscriminatorNotFound",
        "No discriminator was found on the account",
    ),
    ACCOUNT_DISCRIMINATOR_MISMATCH: (
        "AccountDiscriminatorMismatch",
        "Account discriminator did not match what was expected",
    ),
    ACCOUNT_DID_NOT_DESERIALIZE: ("AccountDidNotDeserialize", "Failed to deserialize the account"),
    ACCOUNT_NOT_ENOUGH_KEYS: ("AccountNotEnoughKeys", "Not enough account keys given to the instruction"),
    ACCOUNT_NOT_MUTABLE: ("AccountNotMutable", "The given account is not mutable"),
    ACCOUNT_OWNED_BY_WRONG_PROGRAM: (
        "AccountOwnedByWrongProgram",
        "The given account is owned by a different program than expected",
    ),
    INVALID_PROGRAM_ID: ("InvalidProgramId", "Program ID was not as expected"),
    ACCOUNT_NOT_SIGNER: ("AccountNotSigner", "The given account did not sign"),
    ACCOUNT_NOT_INITIALIZED: (
        "AccountNotInitialized",
        "The program expected this account to be already initialized",
    ),
}

Accounts = Mapping[Pubkey, Account]


def anchor_error(code: int) -> ProgramError:
    """One of Anchor's own errors, by its code."""
    name, message = _ERRORS[code]
    return ProgramError(code, name, message)


def discriminator(namespace: str, name: str) -> bytes:
    """The eight bytes that mark an instruction (`global`), an account (`account`) or an event (`event`)."""
    return sha256(f"{namespace}:{name}".encode()).digest()[:8]


def check_signer(meta: AccountMeta) -> None:
    """`Signer`."""
    if not meta.is_signer:
        raise anchor_error(ACCOUNT_NOT_SIGNER)


def check_mutable(*metas: AccountMeta) -> None:
    """The `mut` constraint."""
    if not all(meta.is_writable for meta in metas):
        raise anchor_error(CONSTRAINT_MUT)


def check_address(meta: AccountMeta, expected: Pubkey) -> None:
    """The `address` constraint."""
    if meta.pubkey != expected:
        raise anchor_error(CONSTRAINT_ADDRESS)


def account_data(accounts: Accounts, address: Pubkey, program: Pubkey, mark: bytes, length: int) -> bytes:
    """`Account<T>`: the data of one of the program's own accounts, at least `length` bytes."""
    if address not in accounts:
        raise anchor_error(ACCOUNT_NOT_INITIALIZED)
    return loader_data(accounts, address, program, mark, length)


def loader_data(accounts: Accounts, address: Pubkey, program: Pubkey, mark: bytes, length: int) -> bytes:
    """`AccountLoader<T>`: the same for a zero-copy account, which doesn't tell absent from foreign."""
    account = accounts.get(address)
    if account is None or account.owner != program:
        raise anchor_error(ACCOUNT_OWNED_BY_WRONG_PROGRAM)
    if len(account.data) < len(mark):
        raise anchor_error(ACCOUNT_DISCRIMINATOR_NOT_FOUND)
    if not account.data.startswith(mark):
        raise anchor_error(ACCOUNT_DISCRIMINATOR_MISMATCH)
    if len(account.data) < length:
        raise anchor_error(ACCOUNT_DID_NOT_DESERIALIZE)
    return account.data


def token_account(accounts: Accounts, address: Pubkey) -> TokenAccount:
    """`InterfaceAccount<TokenAccount>`."""
    try:
        return TokenAccount.decode(_token_program_account(accounts, address))
    except InvalidTokenData:
        raise anchor_error(ACCOUNT_DID_NOT_DESERIALIZE) from None


def mint(accounts: Accounts, address: Pubkey) -> Mint:
    """`InterfaceAccount<Mint>`."""
    try:
        return Mint.decode(address, _token_program_account(accounts, address))
    except InvalidTokenData:
        raise anchor_error(ACCOUNT_DID_NOT_DESERIALIZE) from None


def check_token_program(meta: AccountMeta) -> None:
    """`Interface<TokenInterface>`."""
    if meta.pubkey not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        raise anchor_error(INVALID_PROGRAM_ID)


def _token_program_account(accounts: Accounts, address: Pubkey) -> Account:
    account = accounts.get(address)
    if account is None:
        raise anchor_error(ACCOUNT_NOT_INITIALIZED)
    if account.owner not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        raise anchor_error(ACCOUNT_OWNED_BY_WRONG_PROGRAM)
    return account
