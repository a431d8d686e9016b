"""The bytecode of the programs as they are deployed, which the emulated ones are compared with.

FILLRATE_PROGRAMS names a folder of it; CONTRIBUTING.md says where its files are found. Without that folder the tests
marked `real_programs` are skipped. With it, a file that is missing or too old is a failure: whoever names the folder
wants them to run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.venues.meteora_damm_v1 import layout as meteora_damm_v1
from chalicelib.venues.meteora_damm_v2 import layout as meteora_damm_v2
from chalicelib.venues.meteora_dlmm import layout as meteora_dlmm_layout
from chalicelib.venues.raydium_amm_v4 import layout as raydium_amm_v4
from chalicelib.venues.raydium_clmm import layout as raydium_clmm
from chalicelib.venues.raydium_cpmm import layout as raydium_cpmm

VARIABLE = "FILLRATE_PROGRAMS"


@dataclass(frozen=True, slots=True)
class DeployedProgram:
    address: Pubkey
    file_name: str
    # The name of an instruction that came with the version that is emulated: an older one reads pools otherwise.
    newest_instruction: bytes

    @property
    def bytecode(self) -> Path:
        """The file; there for tests marked `real_programs`."""
        return Path(os.environ[VARIABLE]) / self.file_name

    def what_is_wrong(self, folder: Path) -> str | None:
        """Why the tests can't run on this folder's build; None if they can."""
        file = folder / self.file_name
        if not file.is_file():
            return f"{folder} has no {self.file_name}"
        if self.newest_instruction not in file.read_bytes():
            return f"{file} is older than what is emulated: it has no {self.newest_instruction.decode()}"
        return None


RAYDIUM_CPMM = DeployedProgram(raydium_cpmm.PROGRAM_ID, "raydium_cp_swap.so", b"CollectCreatorFee")
METEORA_DLMM = DeployedProgram(meteora_dlmm_layout.PROGRAM_ID, "lb_clmm.so", b"PlaceLimitOrder")
RAYDIUM_AMM_V4 = DeployedProgram(raydium_amm_v4.PROGRAM_ID, "raydium_amm.so", b"swap_base_in_v2")
METEORA_DAMM_V1 = DeployedProgram(meteora_damm_v1.PROGRAM_ID, "dynamic_amm.so", b"PartnerClaimFee")
METEORA_VAULT = DeployedProgram(meteora_damm_v1.VAULT_PROGRAM_ID, "dynamic_vault.so", b"InitializeIdleVault")
# The release of 2026 was nowhere to be had.
RAYDIUM_CLMM = DeployedProgram(raydium_clmm.PROGRAM_ID, "raydium_clmm.so", b"CreateSupportMintAssociated")
METEORA_DAMM_V2 = DeployedProgram(meteora_damm_v2.PROGRAM_ID, "cp_amm.so", b"FixPoolLayoutVersion")
REAL_PROGRAMS = (
    RAYDIUM_CPMM,
    METEORA_DLMM,
    RAYDIUM_CLMM,
    METEORA_DAMM_V2,
    RAYDIUM_AMM_V4,
    METEORA_DAMM_V1,
    METEORA_VAULT,
)


# Of Raydium CLMM's PoolState, sums over all swaps that no swap reads: the release that is emulated has dropped them.
# swap_in_ and swap_out_amount_token_0 and _1; total_fees_token_0 and _1, total_fees_claimed_token_0 and _1.
_DROPPED = (slice(325, 389), slice(1032, 1064))


def as_emulated(account: Account) -> Account:
    """An account that a real program wrote, without what the release that is emulated doesn't write."""
    if account.owner != RAYDIUM_CLMM.address or len(account.data) != raydium_clmm.POOL_LENGTH:
        return account
    data = bytearray(account.data)
    for dropped in _DROPPED:
        data[dropped] = bytes(dropped.stop - dropped.start)
    return replace(account, data=bytes(data))


def require_real_programs() -> None:
    """Skip the test if no folder is named; fail it if the folder isn't whole."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        pytest.skip(f"needs real bytecode: make programs {VARIABLE}=DIR (see CONTRIBUTING.md), before each release")
    wrong = [reason for program in REAL_PROGRAMS if (reason := program.what_is_wrong(Path(folder)))]
    if wrong:
        pytest.fail("; ".join(wrong), pytrace=False)
