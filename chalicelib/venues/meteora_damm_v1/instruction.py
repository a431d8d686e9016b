"""Meteora DAMM v1's swap as an instruction, written and read back, with a floor that holds for what the trader gets.

The program compares its floor with what the pool loses, which rounding in the vault may make a unit more than what it
pays: see math.py `guaranteed`. So a swap guarantees one unit less than the floor that is written into it.

Source: MeteoraAg/damm-v1-sdk, programs/dynamic-amm/src/instructions/swap.rs (the accounts' order), common/src (their
addresses).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from struct import Struct

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from chalicelib.solana.account_metas import readonly, writable
from chalicelib.solana.decoded_swap import DecodedSwap, Directions, NotOurSwap
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import TOKEN_PROGRAM
from chalicelib.venues.meteora_damm_v1.layout import (
    PROGRAM_ID,
    VAULT_PROGRAM_ID,
    token_vault_address,
    vault_address,
    vault_lp_address,
)
from chalicelib.venues.meteora_damm_v1.math import ROUNDING_OF_THE_POOL

SWAP = bytes.fromhex("f8c69e91e17587c8")
SWAP_ARGUMENTS = Struct("<QQ")  # in_amount, minimum_out_amount

_FIXED = 15
_U64_MAX = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DammV1Swap:
    """The instruction's accounts and arguments. Pairs are A, B; amounts base units.

    `floor` is what the pool must lose at least. `protocol_fee` takes the input token. `stake` is where a depeg pool's
    price is read, None for others.
    """

    pool: Pubkey
    vaults: tuple[Pubkey, Pubkey]
    lp_mints: tuple[Pubkey, Pubkey]
    protocol_fee: Pubkey
    stake: Pubkey | None
    trader: Pubkey
    source: Pubkey
    destination: Pubkey
    amount_in: int
    floor: int

    def encode(self) -> Instruction:
        """Raises ValueError for a floor that no pool can lose."""
        if self.floor > _U64_MAX:
            raise ValueError(f"a floor of {self.floor} base units is more than can be paid")
        vault_a, vault_b = self.vaults
        metas = [
            writable(self.pool),
            writable(self.source),
            writable(self.destination),
            writable(vault_a),
            writable(vault_b),
            writable(token_vault_address(vault_a)),
            writable(token_vault_address(vault_b)),
            writable(self.lp_mints[0]),
            writable(self.lp_mints[1]),
            writable(vault_lp_address(vault_a, self.pool)),
            writable(vault_lp_address(vault_b, self.pool)),
            writable(self.protocol_fee),
            AccountMeta(self.trader, is_signer=True, is_writable=False),
            readonly(VAULT_PROGRAM_ID),
            readonly(TOKEN_PROGRAM),
        ]
        if self.stake is not None:
            metas.append(readonly(self.stake))
        return Instruction(PROGRAM_ID, SWAP + SWAP_ARGUMENTS.pack(self.amount_in, self.floor), metas)


def decode_swap(accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
    """The swap that `Swap.encode` wrote, with the floor that it guarantees. Raises NotOurSwap.

    It names no mints. From those that the pool is registered with follow the vaults, and from these their token
    accounts and the pool's LP accounts. The vaults' LP mints, which the oldest vaults don't derive, the account for the
    protocol's fee and the stake account only the programs can tell, which compare them with the pool's own.
    """
    if len(accounts) not in (_FIXED, _FIXED + 1) or len(data) != len(SWAP) + SWAP_ARGUMENTS.size:
        raise NotOurSwap("it has other accounts or arguments than swap has")
    pool, source, destination, vault_a, vault_b = accounts[:5]
    amount_in, floor = SWAP_ARGUMENTS.unpack_from(data, len(SWAP))
    if not data.startswith(SWAP) or floor < ROUNDING_OF_THE_POOL:
        raise NotOurSwap("it is not swap, with a floor")
    if len(set(accounts)) != len(accounts):
        raise NotOurSwap("one account is named twice")
    swap = DammV1Swap(
        pool=pool,
        vaults=(vault_a, vault_b),
        lp_mints=(accounts[7], accounts[8]),
        protocol_fee=accounts[11],
        stake=accounts[_FIXED] if len(accounts) > _FIXED else None,
        trader=accounts[12],
        source=source,
        destination=destination,
        amount_in=amount_in,
        floor=floor,
    )
    instruction = swap.encode()
    if [meta.pubkey for meta in instruction.accounts] != list(accounts):
        raise NotOurSwap("a vault's or the pool's account is another")
    return DecodedSwap(
        instruction,
        pool,
        swap.trader,
        source,
        destination,
        (),
        amount_in,
        floor - ROUNDING_OF_THE_POOL,
        directions_between=partial(_directions, swap.vaults),
    )


def _directions(vaults: tuple[Pubkey, Pubkey], mints: tuple[Pubkey, Pubkey]) -> Directions:
    """Either way: the program tells the way by the mint of the trader's account."""
    if vaults != (vault_address(mints[0]), vault_address(mints[1])):
        raise NotOurSwap("a vault is not that of the pool's token")
    one, other = (TokenMint(mint, TOKEN_PROGRAM) for mint in mints)
    return (one, other), (other, one)
