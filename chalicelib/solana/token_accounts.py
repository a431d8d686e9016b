"""The token accounts that a swap pays from and into: which they are, and the instructions that open and close them.

SOL is traded as wrapped SOL. Each attempt at an order wraps into an account of its own, derived from the wallet, the
order, the attempt and the attempt's nonce, that lives only inside its transaction. The nonce is random, for an address
that could be foretold could be taken: a lamport sent there by a stranger keeps an account from being created. The
wallet's usual wrapped-SOL account is never touched: closing it would hand over balances that are not this order's, and
orders that run at once would close it on each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import CreateAccountWithSeedParams, create_account_with_seed

from chalicelib.solana.tokens import (
    ASSOCIATED_TOKEN_PROGRAM,
    NATIVE_MINT,
    TOKEN_ACCOUNT_LENGTH,
    TOKEN_PROGRAM,
    associated_token_address,
)

# Tags of TokenInstruction (solana-program/token, interface/src/instruction.rs)
_CLOSE_ACCOUNT = 9
_INITIALIZE_ACCOUNT_3 = 18
# Tag of AssociatedTokenAccountInstruction (solana-program/associated-token-account, interface/src/instruction.rs)
_CREATE_IDEMPOTENT = 1
# At most 32 fit; the instruction carries the seed, where room is short. 64 bits tell a wallet's orders apart.
_SEED_LENGTH = 16


@dataclass(frozen=True, slots=True)
class TokenMint:
    """A mint and the token program that it belongs to."""

    mint: Pubkey
    token_program: Pubkey

    @property
    def is_sol(self) -> bool:
        return self.mint == NATIVE_MINT


@dataclass(frozen=True, slots=True)
class TradingAccount:
    """A token account to swap from or into, what must run before the swap, and what after it."""

    address: Pubkey
    token: TokenMint
    opening: tuple[Instruction, ...] = field(default=())
    closing: tuple[Instruction, ...] = field(default=())


def source_account(
    wallet: Pubkey, token: TokenMint, amount_in: int, *, order_id: str, attempt: int, nonce: str, rent_lamports: int
) -> TradingAccount:
    """Where `amount_in` base units are paid from.

    SOL is wrapped, exactly `amount_in` lamports, into an account that nobody can foretell who doesn't know the `nonce`.
    `rent_lamports` is what the cluster asks of an account of `TOKEN_ACCOUNT_LENGTH` bytes; it is lent to the temporary
    account and comes back when that closes.
    """
    if token.is_sol:
        return _wrapped_sol(wallet, amount_in, f"{order_id}:{attempt}:in:{nonce}", rent_lamports)
    return TradingAccount(associated_token_address(wallet, token.mint, token.token_program), token)


def destination_account(
    wallet: Pubkey, token: TokenMint, *, order_id: str, attempt: int, nonce: str, rent_lamports: int
) -> TradingAccount:
    """Where the output arrives: SOL is unwrapped into the wallet; any other token's account is opened if need be.

    An associated account that had to be opened stays: its rent is the wallet's, lamports that `fill.py` doesn't
    count as spent.
    """
    if token.is_sol:
        return _wrapped_sol(wallet, 0, f"{order_id}:{attempt}:out:{nonce}", rent_lamports)
    address = associated_token_address(wallet, token.mint, token.token_program)
    return TradingAccount(address, token, opening=(create_associated_account(wallet, token, address),))


def create_associated_account(wallet: Pubkey, token: TokenMint, address: Pubkey) -> Instruction:
    """Open the wallet's associated account of a token, paid by the wallet; nothing happens if it exists."""
    metas = [
        AccountMeta(wallet, is_signer=True, is_writable=True),
        AccountMeta(address, is_signer=False, is_writable=True),
        AccountMeta(wallet, is_signer=False, is_writable=False),
        AccountMeta(token.mint, is_signer=False, is_writable=False),
        AccountMeta(SYSTEM_PROGRAM, is_signer=False, is_writable=False),
        AccountMeta(token.token_program, is_signer=False, is_writable=False),
    ]
    return Instruction(ASSOCIATED_TOKEN_PROGRAM, bytes([_CREATE_IDEMPOTENT]), metas)


def _wrapped_sol(wallet: Pubkey, lamports: int, label: str, rent_lamports: int) -> TradingAccount:
    """A wrapped-SOL account that holds `lamports`, opened before the swap and closed into the wallet after it.

    No transfer and no SyncNative: initialising a native account counts all that it holds above its rent as balance
    (solana-program/token, program/src/processor.rs, `_process_initialize_account`).
    """
    seed = sha256(f"fillrate:{label}".encode()).hexdigest()[:_SEED_LENGTH]
    address = Pubkey.create_with_seed(wallet, seed, TOKEN_PROGRAM)
    create = create_account_with_seed(
        CreateAccountWithSeedParams(
            from_pubkey=wallet,
            to_pubkey=address,
            base=wallet,
            seed=seed,
            lamports=rent_lamports + lamports,
            space=TOKEN_ACCOUNT_LENGTH,
            owner=TOKEN_PROGRAM,
        )
    )
    initialize = Instruction(
        TOKEN_PROGRAM,
        bytes([_INITIALIZE_ACCOUNT_3]) + bytes(wallet),
        [
            AccountMeta(address, is_signer=False, is_writable=True),
            AccountMeta(NATIVE_MINT, is_signer=False, is_writable=False),
        ],
    )
    return TradingAccount(
        address=address,
        token=TokenMint(NATIVE_MINT, TOKEN_PROGRAM),
        opening=(create, initialize),
        closing=(_close_account(address, wallet),),
    )


def _close_account(address: Pubkey, wallet: Pubkey) -> Instruction:
    metas = [
        AccountMeta(address, is_signer=False, is_writable=True),
        AccountMeta(wallet, is_signer=False, is_writable=True),
        AccountMeta(wallet, is_signer=True, is_writable=False),
    ]
    return Instruction(TOKEN_PROGRAM, bytes([_CLOSE_ACCOUNT]), metas)
