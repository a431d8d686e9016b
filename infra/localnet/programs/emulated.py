"""The one list of swap programs that are emulated where their bytecode is not at hand.

Read it as `emulated.PROGRAMS` when it is needed, as the venues' own list.
"""

from __future__ import annotations

from infra.localnet.programs.meteora_dlmm import MeteoraDlmmProgram
from infra.localnet.programs.program import EmulatedProgram
from infra.localnet.programs.raydium_cpmm import RaydiumCpmmProgram

PROGRAMS: tuple[EmulatedProgram, ...] = (RaydiumCpmmProgram(), MeteoraDlmmProgram())
