"""The one list of swap programs that are emulated where their bytecode is not at hand.

Read it as `emulated.PROGRAMS` when it is needed, as the venues' own list.
"""

from __future__ import annotations

from infra.localnet.programs.meteora_damm_v1 import MeteoraDammV1Program
from infra.localnet.programs.meteora_damm_v2 import MeteoraDammV2Program
from infra.localnet.programs.meteora_dlmm import MeteoraDlmmProgram
from infra.localnet.programs.program import EmulatedProgram
from infra.localnet.programs.raydium_amm_v4 import RaydiumAmmV4Program
from infra.localnet.programs.raydium_clmm import RaydiumClmmProgram
from infra.localnet.programs.raydium_cpmm import RaydiumCpmmProgram

PROGRAMS: tuple[EmulatedProgram, ...] = (
    RaydiumCpmmProgram(),
    MeteoraDlmmProgram(),
    RaydiumClmmProgram(),
    MeteoraDammV2Program(),
    RaydiumAmmV4Program(),
    MeteoraDammV1Program(),
)
