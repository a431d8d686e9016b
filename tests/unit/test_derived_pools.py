"""Which pools of a pair are looked for where no registry names one: at the addresses that the programs derive."""

from __future__ import annotations

import pytest
from solders.pubkey import Pubkey

from chalicelib.venues import supported
from chalicelib.venues.venue import Venue

SOL = Pubkey.from_string("So11111111111111111111111111111111111111112")
USDC = Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
# Pools of SOL and USDC that are on mainnet.
RAYDIUM_CPMM = Pubkey.from_string("7JuwJuNU88gurFnyWeiyGKbFmExMWcmRZntn9imEzdny")
RAYDIUM_CLMM = Pubkey.from_string("3ucNos4NbumPLZNWztqGHNFFgkHeRMBQAVemeeomsUxv")
# Of the customisable pools, by the programs' own seeds: dlmm-sdk, commons/src/pda.rs
# `derive_customizable_permissionless_lb_pair`; damm-v2, ix_initialize_customizable_pool.rs.
DLMM_BASE = Pubkey.from_string("MFGQxwAmB91SwuYX36okv2Qmdc9aMuHTwWGUrp4AtB1")


def venue(program: str) -> Venue:
    return next(one for one in supported.VENUES if one.program == program)


def derived(program: str) -> tuple[Pubkey, ...]:
    return venue(program).derived_pools(SOL, USDC)


def by_seeds(program: str, *seeds: bytes) -> Pubkey:
    return Pubkey.find_program_address(seeds, venue(program).program_id)[0]


def test_raydiums_pools_are_those_of_its_first_configs() -> None:
    assert derived("raydium-cpmm")[0] == RAYDIUM_CPMM
    assert RAYDIUM_CLMM in derived("raydium-clmm")
    for program in ("raydium-cpmm", "raydium-clmm"):
        assert len(set(derived(program))) == len(derived(program)) > 1


def test_meteoras_are_the_one_customisable_pool_of_two_mints() -> None:
    low, high = sorted(map(bytes, (SOL, USDC)))
    assert derived("meteora-dlmm") == (by_seeds("meteora-dlmm", bytes(DLMM_BASE), low, high),)
    assert derived("meteora-damm-v2") == (by_seeds("meteora-damm-v2", b"cpool", high, low),)


@pytest.mark.parametrize("program", ["raydium-amm-v4", "meteora-damm-v1"])
def test_a_pool_whose_address_does_not_follow_from_its_mints_is_not_looked_for(program: str) -> None:
    assert derived(program) == ()


@pytest.mark.parametrize("program", [one.program for one in supported.VENUES])
def test_a_pairs_pools_are_the_same_whichever_mint_is_named_first(program: str) -> None:
    assert derived(program) == venue(program).derived_pools(USDC, SOL)
