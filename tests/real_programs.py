"""The bytecode of the programs as they are deployed, which the emulated ones are compared with.

FILLRATE_PROGRAMS names a folder of it; CONTRIBUTING.md says where its files are found. Without that folder the tests
marked `real_programs` are skipped. With it, a file that is missing or too old is a failure: whoever names the folder
wants them to run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from solders.pubkey import Pubkey

from chalicelib.venues.meteora_dlmm import layout as meteora_dlmm_layout
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
REAL_PROGRAMS = (RAYDIUM_CPMM, METEORA_DLMM)


def require_real_programs() -> None:
    """Skip the test if no folder is named; fail it if the folder isn't whole."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        pytest.skip(f"needs real bytecode: make programs {VARIABLE}=DIR (see CONTRIBUTING.md), before each release")
    wrong = [reason for program in REAL_PROGRAMS if (reason := program.what_is_wrong(Path(folder)))]
    if wrong:
        pytest.fail("; ".join(wrong), pytrace=False)
