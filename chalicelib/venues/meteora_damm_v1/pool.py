"""Meteora DAMM v1 as a venue: pools over shared vaults decoded and checked, exact quotes, the swap instruction.

A pool holds no tokens: it holds LP tokens of two vaults, each shared by everybody who uses its token, and what these
are worth changes with time. A swap deposits into one vault and withdraws from the other, and each step rounds.
Source: MeteoraAg/damm-v1-sdk. Where the bytes are is in layout.py, what a swap computes in math.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar, NamedTuple

from solders.instruction import Instruction
from solders.pubkey import Pubkey

from chalicelib.problems import AmountTooSmall, InsufficientLiquidity, VenueUnavailable
from chalicelib.solana.accounts import CLOCK_LENGTH, CLOCK_SYSVAR, Account, AccountMap, ChainClock
from chalicelib.solana.compute_budget import MAX_COMPUTE_UNITS
from chalicelib.solana.decoded_swap import DecodedSwap
from chalicelib.solana.tokens import TOKEN_PROGRAM, Mint
from chalicelib.venues.meteora_damm_v1.instruction import DammV1Swap, decode_swap
from chalicelib.venues.meteora_damm_v1.layout import (
    ACTIVATION_BY_SLOT,
    ACTIVATION_BY_TIME,
    MINTS_OFFSET,
    POOL_DISCRIMINATOR,
    PRICE_PRECISION,
    PROGRAM_ID,
    DammV1PoolState,
    Depeg,
    StableCurve,
    VaultState,
    lp_supply,
    virtual_price,
)
from chalicelib.venues.meteora_damm_v1.math import (
    ROUNDING_OF_THE_POOL,
    constant_product_out,
    fee_on,
    guaranteed,
    invariant,
    locked_profit,
    other_amount,
)
from chalicelib.venues.meteora_damm_v1.refusals import REFUSALS, VAULT_REFUSALS, DammV1SwapRefused, RefusedFor
from chalicelib.venues.pool_accounts import (
    InvalidAccount,
    account_at,
    decoded,
    existing_account,
    tradable_mint,
    vault_amount,
)
from chalicelib.venues.records import new_record
from chalicelib.venues.rounding import rounding_between
from chalicelib.venues.sides import side_of, token_sides
from chalicelib.venues.venue import PoolAccount, PoolQuote, TokenSide

PROGRAM, DEX = "meteora-damm-v1", "meteora"

# How long a depeg pool goes by the price that it has cached (constants.rs `depeg::BASE_CACHE_EXPIRES`).
PRICE_CACHE_SECONDS = 600

# Measured on the programs and rounded up: a constant product takes 108k; the stable curve's steps come on top, each the
# more the longer its numbers, and the reading of a stake account.
_UNITS_CONSTANT_PRODUCT = 112_000
_UNITS_STABLE = 112_000
_UNITS_STEP = 6_500
_UNITS_STAKE_ACCOUNT = 25_000
# How often a swap rounds, without the LP tokens: both fees, what the pool has in its vault before and after, the curve
# with up to two for its invariant, and what no floor can make sure of.
_ROUNDINGS = 9

_U64_MAX = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class PoolVault:
    """One of a pool's two vaults, and the pool's part in it. Amounts are base units of the token or of the LP token."""

    address: Pubkey
    token_vault: Pubkey
    lp_mint: Pubkey
    takes_deposits: bool
    total: int
    # What it can pay out: the rest is lent out.
    reserve: int
    lp_supply: int
    pool_lp: int
    locked_profit: int
    last_report: int
    degradation: int


# A vault at one time: what its LP tokens stand for, how many there are, the pool's, what the pool's are worth. Of names
# the making would take as long as working this out.
VaultAt = tuple[int, int, int, int]


class PoolAt(NamedTuple):
    """A pool at one time. Of a stable pool, `scales` are what its curve counts a unit of A and of B as.

    `invariants` are its D where A comes in, and where B does, each with the steps that it takes, once they were asked
    for: rounding may tell them apart.
    """

    now: int
    vaults: tuple[VaultAt, VaultAt]
    scales: tuple[int, int]
    invariants: list[tuple[int, int] | None]


class DammV1SwapOutcome(NamedTuple):
    """Everything that one swap changes, in base units; LP tokens in theirs."""

    trade_fee: int  # in input tokens, of which the protocol's is a part
    protocol_fee: int
    lp_in: int  # minted to the pool by the input's vault
    lp_out: int  # burned from the pool by the output's vault
    amount_out: int  # arrives at the trader
    pool_loss: int  # what the program's floor is compared with
    steps: int  # of Newton's method

    @property
    def guaranteed(self) -> int:
        """What of `amount_out` a floor can make sure of."""
        return guaranteed(self.amount_out, self.pool_loss)


@dataclass(slots=True, eq=False)
class MeteoraDammV1Pool:
    """One pool. Pairs are in the order A, B. `curve` is None for the constant product."""

    program: ClassVar[str] = PROGRAM
    dex: ClassVar[str] = DEX

    address: Pubkey
    mints: tuple[Mint, Mint]
    vaults: tuple[PoolVault, PoolVault]
    protocol_fees: tuple[Pubkey, Pubkey]
    enabled: bool
    activation_point: int
    activation_type: int
    trade_fee_numerator: int
    trade_fee_denominator: int
    protocol_fee_numerator: int
    protocol_fee_denominator: int
    partner_fee_numerator: int
    curve: StableCurve | None
    stake: Pubkey | None
    # What the stake account says now; the pool's own is older. None without depeg.
    stake_price: int | None
    # When the accounts were read, by the chain's own clock; None where that was not read.
    read_at: int | None
    # What follows from the time alone, for the time that was asked for last.
    _at: PoolAt | None = field(default=None, init=False)

    @property
    def sides(self) -> tuple[TokenSide, TokenSide]:
        vault_a, vault_b = self.vaults
        return token_sides(self.mints, (vault_a.token_vault, vault_b.token_vault))

    def compute_units(self, steps: int) -> int:
        """What a swap is expected to burn whose curve takes so many steps."""
        if self.curve is None:
            return _UNITS_CONSTANT_PRODUCT
        units = _UNITS_STABLE + steps * _UNITS_STEP
        return units if self.stake is None else units + _UNITS_STAKE_ACCOUNT

    def mid_price(self, mint_in: Pubkey) -> Fraction:
        """Output base units per input base unit at the margin, before fees, when the accounts were read.

        Where the clock was not among these, as if no profit of the vaults were locked.
        Raises InsufficientLiquidity where a side is empty, VenueUnavailable where its worth can't be told.
        """
        side = side_of(mint_in, self.mints, self.address)
        try:
            at = self._pool_at(self.read_at)
        except DammV1SwapRefused as refusal:
            raise refusal.execution_error(self.address) from None
        (*_, x), (*_, y) = at.vaults[side], at.vaults[1 - side]
        if not x or not y:
            raise InsufficientLiquidity(f"Meteora DAMM v1 pool {self.address}: the pool is empty")
        if self.curve is None:
            return Fraction(y, x)
        scale_x, scale_y = at.scales[side], at.scales[1 - side]
        x, y = x * scale_x, y * scale_y
        # The slope of the invariant: ann (x + y) + d = ann d + d^3 / (4 x y).
        flat, cubed = 8 * self.curve.amplification * (x * y) ** 2, self._invariant(self.curve, at, side)[0] ** 3
        return Fraction((flat + cubed * y) * scale_x, (flat + cubed * x) * scale_y)

    def quote(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> PoolQuote:
        """What swap pays for `amount_in`; `fee` is the trade fee with the protocol's part. Raises as `Pool.quote`."""
        side = side_of(mint_in, self.mints, self.address)
        if not 0 < amount_in <= _U64_MAX:
            raise ValueError(f"{amount_in} is not a u64 above zero")
        try:
            trade_fee, _, _, _, amount_out, pool_loss, steps = self._effects(side, amount_in, clock)
        except DammV1SwapRefused as refusal:
            raise refusal.execution_error(self.address) from None
        if not amount_out:
            raise AmountTooSmall(f"Meteora DAMM v1 pool {self.address} pays nothing for {amount_in} base units")
        taking, paying = self.vaults[side], self.vaults[1 - side]
        if amount_out > paying.reserve:
            raise InsufficientLiquidity(
                f"Meteora DAMM v1 pool {self.address} owes {amount_out} base units; its vault holds {paying.reserve}"
            )
        if taking.reserve + amount_in > _U64_MAX:
            raise InsufficientLiquidity(f"Meteora DAMM v1 pool {self.address}: the vault can't hold this much")
        units = self.compute_units(steps)
        if units > MAX_COMPUTE_UNITS:
            raise VenueUnavailable(
                f"Meteora DAMM v1 pool {self.address}: its curve finds no price with the units of a transaction"
            )
        return new_record(
            PoolQuote,
            (
                self.address,
                mint_in,
                self.mints[1 - side].address,
                amount_in,
                amount_out,
                trade_fee,
                mint_in,
                () if self.stake is None else (self.stake,),
                units,
                (),
                amount_out - guaranteed(amount_out, pool_loss),
            ),
        )

    def swap(self, side_in: int, amount_in: int, clock: ChainClock) -> DammV1SwapOutcome:
        """All effects of one swap; `side_in` 0 or 1 says whether A or B comes in. It may pay nothing.

        Shared with the program's emulation. Whether the vault can pay is not looked at.
        Raises SwapRefused with the program's error, in the order of the programs' own checks.
        """
        return DammV1SwapOutcome(*self._effects(side_in, amount_in, clock))

    def _effects(self, side_in: int, amount_in: int, clock: ChainClock) -> tuple[int, int, int, int, int, int, int]:
        """The fields of a DammV1SwapOutcome. Raises SwapRefused.

        Source: damm-v1-sdk, dynamic-amm-quote/src/lib.rs `compute_quote`.
        """
        now = clock.unix_timestamp
        point = clock.slot if self.activation_type == ACTIVATION_BY_SLOT else now
        if not self.enabled or point < self.activation_point:
            raise DammV1SwapRefused(RefusedFor.POOL_DISABLED)
        kept = self._at
        at = self._pool_at(now) if kept is None or kept[0] != now else kept
        trade_fee, protocol_fee = self._fees(amount_in)
        deposited = amount_in - protocol_fee
        if not deposited:
            raise DammV1SwapRefused(RefusedFor.NOTHING_DEPOSITED)
        vault = self.vaults[side_in]
        if not vault.takes_deposits:
            raise DammV1SwapRefused(RefusedFor.VAULT_DISABLED)

        vaults = at.vaults
        unlocked, supply, pool_lp, worth = vaults[side_in]
        lp_in = deposited * supply // unlocked
        arrived = (pool_lp + lp_in) * (unlocked + deposited) // (supply + lp_in) - worth
        traded = arrived - (trade_fee - protocol_fee)
        if traded < 0 or lp_in + supply > _U64_MAX or vault.total + deposited > _U64_MAX:
            raise DammV1SwapRefused(RefusedFor.MATH_OVERFLOW)
        out_unlocked, out_supply, out_pool_lp, out_worth = vaults[1 - side_in]
        bought, steps = self._curve_out(at, side_in, traded, worth, out_worth)

        lp_out = bought * out_supply // out_unlocked
        amount_out = lp_out * out_unlocked // out_supply
        left = out_supply - lp_out
        worth_after = (out_pool_lp - lp_out) * (out_unlocked - amount_out) // left if left else 0
        return trade_fee, protocol_fee, lp_in, lp_out, amount_out, out_worth - worth_after, steps

    def rounding(self, mint_in: Pubkey, amount_in: int, clock: ChainClock) -> int | None:
        """As `Pool.rounding`: a constant product or a stable curve of what is left after a fee at a fixed rate.

        Each vault rounds to its LP tokens besides, of which one may stand for more than one unit.
        """
        side = side_of(mint_in, self.mints, self.address)
        try:
            at = self._pool_at(clock.unix_timestamp)
        except DammV1SwapRefused as refusal:
            raise refusal.execution_error(self.address) from None
        of_lp = sum(-(-unlocked // lp_supply) for unlocked, lp_supply, *_ in at.vaults if lp_supply)
        mints = self.mints[side], self.mints[1 - side]
        return rounding_between(mints, self.mid_price(mint_in), amount_in, clock.epoch, _ROUNDINGS + of_lp)

    def swap_instruction(
        self, quote: PoolQuote, *, trader: Pubkey, source: Pubkey, destination: Pubkey, minimum_out: int
    ) -> Instruction:
        """swap of the quoted amount, with a floor of `minimum_out` for what the trader gets.

        Of a floor that the quote pays but can't make sure of, the last unit is left unsure: that swap reads back as
        one with a lower floor, which the signing policy doesn't sign for an order of a higher one.
        Raises ValueError for a quote of another pair.
        """
        side = side_of(quote.mint_in, self.mints, self.address)
        vault_a, vault_b = self.vaults
        is_unsure = quote.amount_out - quote.not_guaranteed < minimum_out <= quote.amount_out
        return DammV1Swap(
            pool=self.address,
            vaults=(vault_a.address, vault_b.address),
            lp_mints=(vault_a.lp_mint, vault_b.lp_mint),
            protocol_fee=self.protocol_fees[side],
            stake=self.stake,
            trader=trader,
            source=source,
            destination=destination,
            amount_in=quote.amount_in,
            floor=minimum_out if is_unsure else minimum_out + ROUNDING_OF_THE_POOL,
        ).encode()

    def _fees(self, amount_in: int) -> tuple[int, int]:
        """The trade fee, and what of it the protocol takes before the deposit. Raises SwapRefused."""
        if not self.trade_fee_denominator or not self.protocol_fee_denominator:
            raise DammV1SwapRefused(RefusedFor.FEE_CALCULATION)
        trade_fee = fee_on(amount_in, self.trade_fee_numerator, self.trade_fee_denominator)
        protocol_fee = fee_on(trade_fee, self.protocol_fee_numerator, self.protocol_fee_denominator)
        if not protocol_fee <= trade_fee <= amount_in:
            raise DammV1SwapRefused(RefusedFor.FEE_CALCULATION)
        # What a partner gets of the protocol's fee is computed with 64 bits.
        if protocol_fee * self.partner_fee_numerator > _U64_MAX:
            raise DammV1SwapRefused(RefusedFor.MATH_OVERFLOW)
        return trade_fee, protocol_fee

    def _curve_out(self, at: PoolAt, side_in: int, amount: int, reserve_in: int, reserve_out: int) -> tuple[int, int]:
        """What the curve gives for `amount`, in output tokens, and the steps that it takes. Raises SwapRefused."""
        curve = self.curve
        if curve is None:
            bought = constant_product_out(amount, reserve_in, reserve_out)
            if not bought:
                raise DammV1SwapRefused(RefusedFor.ZERO_TRADING_TOKENS)
            return bought, 0
        _, _, scales, invariants = at
        d, steps_to_d = invariants[side_in] or self._invariant(curve, at, side_in)
        if not d:
            raise DammV1SwapRefused(RefusedFor.ZERO_TRADING_TOKENS)
        scale_in, scale_out = scales[side_in], scales[1 - side_in]
        try:
            left, steps = other_amount(curve.amplification, (reserve_in + amount) * scale_in, d)
        except OverflowError:
            raise DammV1SwapRefused(RefusedFor.ZERO_TRADING_TOKENS) from None
        bought = (reserve_out * scale_out - left - 1) // scale_out
        if bought < 0:
            raise DammV1SwapRefused(RefusedFor.ZERO_TRADING_TOKENS)
        return bought, steps_to_d + steps

    def _pool_at(self, now: int | None) -> PoolAt:
        """What follows from the time; None: as if no profit were locked, and no price fresh. Raises SwapRefused."""
        vaults = _vault_at(self.vaults[0], now), _vault_at(self.vaults[1], now)
        scales, curve = (1, 1), self.curve
        if curve is not None:
            scales = curve.multipliers
            if curve.depeg:  # is not Depeg.NONE, which is zero
                scales = scales[0] * PRICE_PRECISION, scales[1] * self._price_of_b(curve, now)
        at = new_record(PoolAt, (-1 if now is None else now, vaults, scales, [None, None]))
        if now is not None:
            self._at = at
        return at

    def _invariant(self, curve: StableCurve, at: PoolAt, side_in: int) -> tuple[int, int]:
        _, vaults, scales, invariants = at
        _, _, _, worth_in = vaults[side_in]
        _, _, _, worth_out = vaults[1 - side_in]
        found = invariants[side_in] = invariant(
            curve.amplification, worth_in * scales[side_in], worth_out * scales[1 - side_in]
        )
        return found

    def _price_of_b(self, curve: StableCurve, now: int | None) -> int:
        """In millionths of A: the pool's own, or the stake account's where that is too old. Raises SwapRefused."""
        is_fresh = now is not None and now <= curve.cached_at + PRICE_CACHE_SECONDS
        price = curve.cached_price if is_fresh else self.stake_price
        if not price:
            raise DammV1SwapRefused(RefusedFor.INVALID_REMAINING_ACCOUNTS)
        return price


def _vault_at(vault: PoolVault, now: int | None) -> VaultAt:
    """Raises SwapRefused where its LP tokens stand for nothing, or what for can't be told."""
    locked = 0 if now is None else locked_profit(vault.locked_profit, vault.last_report, vault.degradation, now)
    supply, pool_lp = vault.lp_supply, vault.pool_lp
    if locked is None or (unlocked := vault.total - locked) < 0:
        raise DammV1SwapRefused(RefusedFor.VAULT_MATH_OVERFLOW)
    if not unlocked or not supply:
        raise DammV1SwapRefused(RefusedFor.MATH_OVERFLOW)
    return unlocked, supply, pool_lp, pool_lp * unlocked // supply


class MeteoraDammV1Venue:
    """The DAMM v1 program, also known as the dynamic AMM."""

    program = PROGRAM
    dex = DEX
    program_id = PROGRAM_ID
    refusals = (REFUSALS, VAULT_REFUSALS)
    pool_account = PoolAccount(None, POOL_DISCRIMINATOR, MINTS_OFFSET)

    def derived_pools(self, mint_a: Pubkey, mint_b: Pubkey) -> tuple[Pubkey, ...]:
        """None: the program has had several ways to make one, with keys that only the chain tells."""
        return ()

    def existed_at(self, pool: Pubkey, accounts: AccountMap) -> int | None:
        """None: older pools have no time, and those that have one are not all held to it."""
        return None

    def mints(self, pool: Pubkey, accounts: AccountMap) -> tuple[Pubkey, Pubkey]:
        """A and B, from the pool account alone. Raises VenueUnavailable, AccountsMissing."""
        state, _ = _pool_state(pool, accounts)
        return Pubkey(state.mint_a), Pubkey(state.mint_b)

    def accounts_needed(self, pool: Pubkey, accounts: AccountMap) -> frozenset[Pubkey]:
        """The pool; with it, its mints, vaults, LP accounts, stake account, and the clock; with the vaults, theirs."""
        if pool not in accounts:
            return frozenset((pool,))
        state, curve = _pool_state(pool, accounts)
        named = {state.mint_a, state.mint_b, state.vault_a, state.vault_b, state.vault_lp_a, state.vault_lp_b}
        for vault, mint in ((state.vault_a, state.mint_a), (state.vault_b, state.mint_b)):
            if Pubkey(vault) in accounts:
                vault_state = _vault_state(Pubkey(vault), mint, accounts)
                named |= {vault_state.token_vault, vault_state.lp_mint}
        stake = None if curve is None else state.stake_account(curve.depeg)
        return frozenset((pool, CLOCK_SYSVAR, *map(Pubkey, named), *(() if stake is None else (stake,))))

    def decode(self, pool: Pubkey, accounts: AccountMap) -> MeteoraDammV1Pool:
        """The pool, checked: owners, discriminators, lengths; its vaults and its LP accounts are where the programs
        derive them, the vaults are its mints' and hold them, its mints are of the SPL Token program.

        Raises VenueUnavailable, TokenNotTradable, AccountsMissing.
        """
        state, curve = _pool_state(pool, accounts)
        mint_a, mint_b = tradable_mint(Pubkey(state.mint_a), accounts), tradable_mint(Pubkey(state.mint_b), accounts)
        if (mint_a.token_program, mint_b.token_program) != (TOKEN_PROGRAM, TOKEN_PROGRAM):
            raise VenueUnavailable(f"pool {pool} has a mint that is not of the SPL Token program")
        if state.activation_type not in (ACTIVATION_BY_SLOT, ACTIVATION_BY_TIME):
            raise VenueUnavailable(f"pool {pool} opens in an unknown way")
        stake = None if curve is None else state.stake_account(curve.depeg)
        return MeteoraDammV1Pool(
            address=pool,
            mints=(mint_a, mint_b),
            vaults=(
                _vault(state.vault_a, state.mint_a, state.vault_lp_a, state.vault_lp_a, accounts),
                _vault(state.vault_b, state.mint_b, state.vault_lp_b, state.vault_lp_a, accounts),
            ),
            protocol_fees=(Pubkey(state.protocol_fee_a), Pubkey(state.protocol_fee_b)),
            enabled=state.enabled,
            activation_point=state.activation_point,
            activation_type=state.activation_type,
            trade_fee_numerator=state.trade_fee_numerator,
            trade_fee_denominator=state.trade_fee_denominator,
            protocol_fee_numerator=state.protocol_fee_numerator,
            protocol_fee_denominator=state.protocol_fee_denominator,
            partner_fee_numerator=state.partner_fee_numerator,
            curve=curve,
            stake=stake,
            stake_price=None if curve is None or stake is None else _stake_price(curve.depeg, stake, accounts),
            read_at=_clock_time(accounts),
        )

    def decode_swap(self, accounts: Sequence[Pubkey], data: bytes) -> DecodedSwap:
        """A pool's swap_instruction, read back. Raises NotOurSwap."""
        return decode_swap(accounts, data)


def _pool_state(pool: Pubkey, accounts: AccountMap) -> tuple[DammV1PoolState, StableCurve | None]:
    def checked(account: Account) -> tuple[DammV1PoolState, StableCurve | None]:
        state = DammV1PoolState.decode(account.owner, account.data)
        state.check_addresses(pool)
        return state, state.stable_curve(account.data)

    return decoded(pool, accounts, checked)


def _vault_state(vault: Pubkey, mint: bytes, accounts: AccountMap) -> VaultState:
    return decoded(vault, accounts, lambda account: VaultState.decode(vault, account.owner, account.data, mint))


def _vault(vault: bytes, mint: bytes, pool_lp: bytes, lp_authority: bytes, accounts: AccountMap) -> PoolVault:
    """The vault of `mint`, with what a pool's LP account there holds."""
    address = Pubkey(vault)
    state = _vault_state(address, mint, accounts)
    token_vault, lp_mint = Pubkey(state.token_vault), Pubkey(state.lp_mint)
    try:
        supply = lp_supply(existing_account(lp_mint, accounts))
    except InvalidAccount as error:
        raise VenueUnavailable(f"LP mint {lp_mint} of vault {address}: {error}") from error
    held = vault_amount(Pubkey(pool_lp), accounts, state.lp_mint, lp_authority)
    if held > supply:
        raise VenueUnavailable(f"of vault {address}'s LP tokens more are held than there are")
    return PoolVault(
        address=address,
        token_vault=token_vault,
        lp_mint=lp_mint,
        takes_deposits=state.enabled == 1,
        total=state.total_amount,
        reserve=vault_amount(token_vault, accounts, mint, vault),
        lp_supply=supply,
        pool_lp=held,
        locked_profit=state.locked_profit,
        last_report=state.last_report,
        degradation=state.degradation,
    )


def _stake_price(depeg: Depeg, stake: Pubkey, accounts: AccountMap) -> int | None:
    """What the stake account says; None where it is not there: the pool may do without it for a while."""
    account = account_at(stake, accounts)
    if account is None:
        return None
    try:
        return virtual_price(depeg, account.data)
    except InvalidAccount as error:
        raise VenueUnavailable(f"{stake}: {error}") from error


def _clock_time(accounts: AccountMap) -> int | None:
    clock = accounts.get(CLOCK_SYSVAR)
    return None if clock is None or len(clock.data) < CLOCK_LENGTH else ChainClock.decode(clock.data).unix_timestamp
