"""Raydium AMM v4 emulated by the venue's own math: SwapBaseInV2, to the last byte of the pool's account.

It is emulated as deployed in 2026, before the order book was taken out of it: it still adds up what was swapped.
Facts: raydium-io/raydium-amm, program/src/processor.rs `process_swap_base_in_v2`, state.rs, error.rs, log.rs.
"""

from __future__ import annotations

import base64
from struct import Struct
from typing import NamedTuple

from solders.instruction import AccountMeta
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import ChainClock
from chalicelib.solana.tokens import TOKEN_PROGRAM, InvalidTokenData, Mint, TokenAccount
from chalicelib.venues.pool_accounts import InvalidAccount
from chalicelib.venues.raydium_amm_v4.instruction import SWAP_ARGUMENTS, SWAP_BASE_IN_V2
from chalicelib.venues.raydium_amm_v4.layout import AUTHORITY, PROGRAM_ID, STATUS_SWAP_ONLY, AmmInfo
from chalicelib.venues.raydium_amm_v4.pool import COMPUTE_UNITS, RaydiumAmmV4Pool
from chalicelib.venues.raydium_amm_v4.refusals import (
    CHECKED_SUB_OVERFLOW,
    EXCEEDED_SLIPPAGE,
    INSUFFICIENT_FUNDS,
    INVALID_INPUT,
    INVALID_STATUS,
    AmmV4SwapRefused,
)
from infra.localnet.programs import anchor
from infra.localnet.programs.program import ProgramError, SwapEffect, TokenTransfer

_INVALID_PROGRAM_ADDRESS, _EXPECTED_ACCOUNT, _INVALID_COIN_VAULT, _INVALID_PC_VAULT = 1, 3, 4, 5
_INVALID_SIGN_ACCOUNT, _WRONG_ACCOUNTS_NUMBER, _INVALID_AMM_OWNER = 21, 24, 27
_INVALID_TOKEN_PROGRAM, _INVALID_USER_TOKEN = 38, 42
_INVALID_INSTRUCTION = 23

# What a swap rewrites of AmmInfo: the status, the sums of what was swapped, the epoch.
_STATUS = Struct("<Q")
# coin in u128, pc out u128, fee in pc u64; pc in u128, coin out u128, fee in coin u64
_SUMS = Struct("<16s16sQ16s16sQ")
_SUMS_OFFSET = 256
_RECENT_EPOCH = Struct("<Q")
_RECENT_EPOCH_OFFSET = 736

# SwapBaseInLog: what kind it is; amount in, floor, direction, what the trader held, both reserves, amount out.
_SWAP_LOG = Struct("<BQQQQQQQ")
_SWAP_BASE_IN_LOG = 3
_COIN_TO_PC, _PC_TO_COIN = 2, 1

# error.rs AmmError, what a swap can raise, as the program prints it.
_ERRORS = {
    1: "InvalidProgramAddress",
    3: "ExpectedAccount",
    4: "InvalidCoinVault",
    5: "InvalidPCVault",
    21: "InvalidSignAccount",
    22: "InvalidStatus",
    23: "InvalidInstruction",
    24: "WrongAccountsNumber",
    27: "InvalidAmmAccountOwner",
    29: "InvalidInput",
    30: "exceeds desired slippage limit",
    32: "CheckedSubOverflow",
    38: "InvalidSplTokenProgram",
    40: "insufficient funds",
    42: "InvalidUserToken",
    48: "InvalidFee",
}


class _AmmV4SwapAccounts(NamedTuple):
    """The accounts of instruction.rs `SwapBaseInV2`, in its order."""

    token_program: AccountMeta
    pool: AccountMeta
    authority: AccountMeta
    coin_vault: AccountMeta
    pc_vault: AccountMeta
    source: AccountMeta
    destination: AccountMeta
    owner: AccountMeta


class RaydiumAmmV4Program:
    """SwapBaseInV2 as the real program runs it; of its other instructions it knows none."""

    program_id = PROGRAM_ID

    def execute(
        self, data: bytes, metas: tuple[AccountMeta, ...], accounts: anchor.Accounts, clock: ChainClock
    ) -> SwapEffect:
        """One swap. Raises ProgramError with the program's code, in the order of the program's own checks."""
        if len(data) < SWAP_ARGUMENTS.size or data[0] != SWAP_BASE_IN_V2:
            raise _error(_INVALID_INSTRUCTION)
        _, amount_in, minimum_out = SWAP_ARGUMENTS.unpack_from(data)
        if len(metas) < len(_AmmV4SwapAccounts._fields):
            raise _error(_WRONG_ACCOUNTS_NUMBER)
        swap = _AmmV4SwapAccounts._make(metas[: len(_AmmV4SwapAccounts._fields)])
        pool = _checked(swap, accounts)
        source, destination = _token_account(swap.source, accounts), _token_account(swap.destination, accounts)
        side = _direction(pool, source, destination)
        fee, amount_out = _swapped(pool, side, amount_in, minimum_out, source.amount, clock)
        return SwapEffect(
            transfers=_transfers(swap, side, amount_in, amount_out),
            writes={
                swap.pool.pubkey: _pool_after(
                    accounts[swap.pool.pubkey].data, side, amount_in, amount_out, fee, clock.epoch
                )
            },
            compute_units=COMPUTE_UNITS,
            logs=(_swap_log(pool, side, amount_in, minimum_out, source.amount, amount_out),),
        )


def _error(code: int) -> ProgramError:
    return ProgramError(code, _ERRORS[code], log=f"Program log: Error: {_ERRORS[code]}")


def _checked(swap: _AmmV4SwapAccounts, accounts: anchor.Accounts) -> RaydiumAmmV4Pool:
    """The pool, once each account is what the program wants."""
    account = accounts.get(swap.pool.pubkey)
    if account is None or account.owner != PROGRAM_ID:
        raise _error(_INVALID_AMM_OWNER)
    try:
        info = AmmInfo.decode(account.owner, account.data)
    except InvalidAccount:
        raise _error(_EXPECTED_ACCOUNT) from None
    if not swap.owner.is_signer:
        raise _error(_INVALID_SIGN_ACCOUNT)
    if swap.token_program.pubkey != TOKEN_PROGRAM:
        raise _error(_INVALID_TOKEN_PROGRAM)
    if swap.authority.pubkey != AUTHORITY:
        raise _error(_INVALID_PROGRAM_ADDRESS)
    vaults = Pubkey(info.coin_vault), Pubkey(info.pc_vault)
    if swap.coin_vault.pubkey != vaults[0]:
        raise _error(_INVALID_COIN_VAULT)
    if swap.pc_vault.pubkey != vaults[1]:
        raise _error(_INVALID_PC_VAULT)
    if not {swap.source.pubkey, swap.destination.pubkey}.isdisjoint(vaults):
        raise _error(_INVALID_USER_TOKEN)
    coin_vault, pc_vault = _token_account(swap.coin_vault, accounts), _token_account(swap.pc_vault, accounts)
    # The instruction names no mints, and the program looks at none: it goes by those of the vaults.
    mints = Mint(coin_vault.mint, TOKEN_PROGRAM, decimals=0), Mint(pc_vault.mint, TOKEN_PROGRAM, decimals=0)
    return RaydiumAmmV4Pool.of(swap.pool.pubkey, info, mints, (coin_vault.amount, pc_vault.amount))


def _token_account(meta: AccountMeta, accounts: anchor.Accounts) -> TokenAccount:
    account = accounts.get(meta.pubkey)
    if account is None or account.owner != TOKEN_PROGRAM:
        raise _error(_INVALID_TOKEN_PROGRAM)
    try:
        return TokenAccount.decode(account)
    except InvalidTokenData:
        raise _error(_EXPECTED_ACCOUNT) from None


def _direction(pool: RaydiumAmmV4Pool, source: TokenAccount, destination: TokenAccount) -> int:
    """Which side comes in, told by the mints of the trader's accounts."""
    mints = [mint.address for mint in pool.mints]
    for side in (0, 1):
        if (source.mint, destination.mint) == (mints[side], mints[1 - side]):
            return side
    raise _error(_INVALID_USER_TOKEN)


def _swapped(
    pool: RaydiumAmmV4Pool, side: int, amount_in: int, minimum_out: int, held: int, clock: ChainClock
) -> tuple[int, int]:
    """Fee and output, if the pool is open, the trader holds the input, and the floor is kept."""
    try:
        fee, amount_out = pool.swap(side, amount_in, clock)
    except AmmV4SwapRefused as refusal:
        if refusal.code not in (INVALID_STATUS, CHECKED_SUB_OVERFLOW) and held < amount_in:
            raise _error(INSUFFICIENT_FUNDS) from None
        # Whether anything is paid is looked at after the floor.
        too_little = refusal.code == INVALID_INPUT and minimum_out
        raise _error(EXCEEDED_SLIPPAGE if too_little else refusal.code) from None
    if held < amount_in:
        raise _error(INSUFFICIENT_FUNDS)
    if amount_out < minimum_out:
        raise _error(EXCEEDED_SLIPPAGE)
    return fee, amount_out


def _transfers(
    swap: _AmmV4SwapAccounts, side: int, amount_in: int, amount_out: int
) -> tuple[TokenTransfer, TokenTransfer]:
    """Two plain Transfers: the program knows no decimals to have checked."""
    vault_in, vault_out = (swap.coin_vault, swap.pc_vault) if side == 0 else (swap.pc_vault, swap.coin_vault)
    return (
        TokenTransfer(
            token_program=TOKEN_PROGRAM,
            source=swap.source.pubkey,
            mint=None,
            destination=vault_in.pubkey,
            authority=swap.owner.pubkey,
            amount=amount_in,
            decimals=0,
        ),
        TokenTransfer(
            token_program=TOKEN_PROGRAM,
            source=vault_out.pubkey,
            mint=None,
            destination=swap.destination.pubkey,
            authority=AUTHORITY,
            amount=amount_out,
            decimals=0,
        ),
    )


def _pool_after(data: bytes, side: int, amount_in: int, amount_out: int, fee: int, epoch: int) -> bytes:
    """AmmInfo after a swap: a pool that waited is open from then on."""
    state = bytearray(data)
    _STATUS.pack_into(state, 0, STATUS_SWAP_ONLY)
    sums = list(_SUMS.unpack_from(state, _SUMS_OFFSET))
    paid_in, paid_out, fees = (0, 1, 5) if side == 0 else (3, 4, 2)
    sums[paid_in] = _added(sums[paid_in], amount_in)
    sums[paid_out] = _added(sums[paid_out], amount_out)
    sums[fees] += fee
    _SUMS.pack_into(state, _SUMS_OFFSET, *sums)
    _RECENT_EPOCH.pack_into(state, _RECENT_EPOCH_OFFSET, epoch)
    return bytes(state)


def _added(total: bytes, amount: int) -> bytes:
    return (int.from_bytes(total, "little") + amount).to_bytes(16, "little")


def _swap_log(pool: RaydiumAmmV4Pool, side: int, amount_in: int, minimum_out: int, held: int, amount_out: int) -> str:
    """The log line of log.rs `SwapBaseInLog`."""
    direction = _COIN_TO_PC if side == 0 else _PC_TO_COIN
    content = _SWAP_LOG.pack(_SWAP_BASE_IN_LOG, amount_in, minimum_out, direction, held, *pool.reserves, amount_out)
    return f"Program log: ray_log: {base64.b64encode(content).decode()}"
