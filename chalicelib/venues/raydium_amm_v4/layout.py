"""Raydium AMM v4's accounts: where they are and what their bytes say. Nothing here computes a swap.

Source: raydium-io/raydium-amm, program/src: state.rs (AmmInfo, Fees, StateData, AmmStatus), processor.rs
`authority_id`.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from solders.pubkey import Pubkey

from chalicelib.venues.pool_accounts import InvalidAccount

PROGRAM_ID = Pubkey.from_string("675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8")
# Owns every vault and mints every LP token of the program.
AUTHORITY, AUTHORITY_NONCE = Pubkey.find_program_address([b"amm authority"], PROGRAM_ID)

# AmmInfo has no discriminator: its owner and its length tell it.
AMM_INFO_LENGTH = 752
# Of AmmInfo: status and nonce; the swap's fee; profit owed in both tokens, when the pool opens; vaults and mints.
# Between them what making a market on an order book needed, and fees that only that paid.
_AMM_INFO = Struct("<QQ160xQQQQ16xQ104x32s32s32s32s")
# Of AmmInfo: coin_mint, pc_mint.
MINTS_OFFSET = 400

STATUS_SWAP_ONLY, STATUS_WAITING_TRADE = 6, 7


class AmmInfo(NamedTuple):
    """What a swap reads of state.rs AmmInfo, in its order; addresses as bytes. Amounts are base units."""

    status: int
    nonce: int
    swap_fee_numerator: int
    swap_fee_denominator: int
    need_take_pnl_coin: int
    need_take_pnl_pc: int
    pool_open_time: int
    coin_vault: bytes
    pc_vault: bytes
    coin_mint: bytes
    pc_mint: bytes

    @classmethod
    def decode(cls, owner: Pubkey, data: bytes) -> AmmInfo:
        """Raises InvalidAccount, also where the pool is not one that the program's own authority pays for."""
        if owner != PROGRAM_ID:
            raise InvalidAccount(f"no AmmInfo of Raydium AMM v4: owned by {owner}")
        if len(data) != AMM_INFO_LENGTH:
            raise InvalidAccount(f"no AmmInfo of Raydium AMM v4: {len(data)} bytes")
        info = cls._make(_AMM_INFO.unpack_from(data))
        # The program derives its authority from the nonce that the pool keeps.
        if info.nonce != AUTHORITY_NONCE:
            raise InvalidAccount("its authority is not the program's")
        if info.coin_mint == info.pc_mint or info.coin_vault == info.pc_vault:
            raise InvalidAccount("it has one token, or one vault, twice")
        return info
