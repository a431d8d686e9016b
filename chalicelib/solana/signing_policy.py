"""What the wallet may sign: the final bytes of a transaction are read back and held against the order. Pure.

Neither the code that built the transaction is trusted, nor what a Solana node said. From the bytes only the swaps and
the compute budget and the tip are taken over, and only where they keep the order's terms; everything else is written
anew from the order alone, by code of this file's own. The message must then be, byte for byte, what these instructions
compile to.

Two things are taken from elsewhere. A swap is read by its venue (`decode_swap`), whose encoder the builder uses too: a
fault of both in the same place would pass. And what the slippage is measured from, `OrderTerms.quoted_out`, is what
routing quoted: where the quote is far off the market, so is the floor that passes for it. That is not for the signer to
know; the limits of an order and the check against a reference price are.

What may differ between two messages that pass for one order:
    the blockhash;
    the version, of which 0 and 1 pass, without lookup tables: each names all its accounts;
    the compute-unit limit and the priority fee, and a tip to one of the lanes' accounts, together up to the cap in
    lamports and, with the base fee, to what the stored order has reserved;
    over which registered pools it goes, and how much of the order each leg takes and promises, as long as all of
    `amount_in` is spent, no hop spends more than the ones before it guarantee, and the last ones together guarantee
    the stored order's floor;
    of a swap's accounts, those that a venue's `decode_swap` leaves open (one of the program's configs for another, some
    of a pool's arrays for others, at Raydium AMM v4 a pool's vaults): the programs refuse those that don't go with the
    swap.

A first quote that is far off the market fixes a floor as far off, unless the client named one. That is not for the
signer to know; the limits of an order and the check against a reference price are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import zip_longest
from struct import Struct
from typing import NamedTuple

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0, MessageV1, TransactionConfig, from_bytes_versioned, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

from chalicelib.amounts import ceil_div
from chalicelib.problems import SigningRefused
from chalicelib.solana.decoded_swap import DecodedSwap, NotOurSwap, SwapDecoder
from chalicelib.solana.token_accounts import TokenMint
from chalicelib.solana.tokens import (
    ASSOCIATED_TOKEN_PROGRAM,
    NATIVE_MINT,
    TOKEN_2022_PROGRAM,
    TOKEN_ACCOUNT_LENGTH,
    TOKEN_PROGRAM,
    associated_token_address,
)

COMPUTE_BUDGET_PROGRAM = Pubkey.from_string("ComputeBudget111111111111111111111111111111")
MEMO_PROGRAM = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
# The rent of a token account at 3480 lamports a byte and year for two years, with 128 bytes of overhead
# (anza-xyz/solana-sdk, rent/src/lib.rs): a cap, for the node alone is not to say how much is lent.
MAX_RENT_LAMPORTS = (128 + TOKEN_ACCOUNT_LENGTH) * 3480 * 2

# What a version 1 message must say, or it counts as 0: what other versions have by default (agave,
# program-runtime/src/execution_budget.rs, MAX_LOADED_ACCOUNTS_DATA_SIZE_BYTES).
_LOADED_ACCOUNTS_BYTES = 64 * 1024 * 1024
# An account whose address begins so keeps a bundle from placing others before the transaction that names it
# (https://docs.jito.wtf/lowlatencytxnsend/#sandwich-mitigation).
_DONT_FRONT = Pubkey.from_string("jitodontfront111111111111111111111111111111")
# SystemInstruction::Transfer (solana-sdk, system-interface/src/instruction.rs), tag 2: lamports
_TRANSFER, _TRANSFER_TAG = Struct("<IQ"), 2
# What the network takes for one signature (https://solana.com/docs/core/fees).
_BASE_FEE_LAMPORTS = 5_000
# ComputeBudgetInstruction (anza-xyz/solana-sdk, compute-budget-interface/src/lib.rs): SetComputeUnitLimit(u32), tag 2,
# and SetComputeUnitPrice(u64), tag 3
_UNIT_LIMIT, _UNIT_PRICE = Struct("<BI"), Struct("<BQ")
_UNIT_LIMIT_TAG, _UNIT_PRICE_TAG = 2, 3
# SystemInstruction::CreateAccountWithSeed (solana-sdk, system-interface/src/instruction.rs), tag 3: base, the seed's
# length and the seed; lamports, space, owner
_CREATE_WITH_SEED, _CREATE_WITH_SEED_TAIL = Struct("<I32sQ16s"), Struct("<QQ32s")
_CREATE_WITH_SEED_TAG = 3
# TokenInstruction (solana-program/token, interface/src/instruction.rs)
_CLOSE_ACCOUNT, _INITIALIZE_ACCOUNT_3 = bytes([9]), bytes([18])
# AssociatedTokenAccountInstruction (solana-program/associated-token-account, interface/src/instruction.rs)
_CREATE_IDEMPOTENT = bytes([1])


_Message = MessageV0 | MessageV1


class TradablePool(NamedTuple):
    """A pool that the registry lists: its program and the two mints that it trades."""

    program: Pubkey
    mints: tuple[Pubkey, Pubkey]


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What one attempt at an order may do. Amounts are base units, `attempt` counts from 1, `nonce` is stored with it.

    `min_out` is the floor of the stored order: what the swaps must pay at least, whatever the route was quoted at.
    `rent_lamports` is lent to each temporary account, and comes back when it closes. `most_lamports` is what the stored
    order has reserved for the network's fee.
    """

    wallet: Pubkey
    order_id: str
    attempt: int
    nonce: str
    mint_in: Pubkey
    mint_out: Pubkey
    amount_in: int
    min_out: int
    rent_lamports: int
    most_lamports: int


class _Seal:
    """What only this module has: whoever makes an ApprovedMessage shows one."""


class ApprovedMessage:
    """A message that the policy passed, and whose it is to sign. Wallets sign nothing else, and nobody else makes one.

    `SigningPolicy.approve` does; tests/unit/test_signing_policy.py looks through the sources for anybody who doesn't
    go by it.
    """

    __slots__ = ("_message", "_signer")

    def __init__(self, seal: _Seal, message: _Message, signer: Pubkey) -> None:
        if not isinstance(seal, _Seal):
            raise TypeError("only the signing policy approves messages")
        self._message = message
        self._signer = signer

    @property
    def message(self) -> _Message:
        return self._message

    @property
    def signer(self) -> Pubkey:
        return self._signer

    def __bytes__(self) -> bytes:
        """What is signed."""
        return bytes(to_bytes_versioned(self._message))


class SigningPolicy:
    """Approves transactions that do what an order says and nothing besides."""

    def __init__(
        self,
        swap_programs: Iterable[SwapDecoder],
        pools: Callable[[], Mapping[Pubkey, TradablePool]],
        max_priority_fee_lamports: int,
        tip_accounts: Iterable[Pubkey] = (),
    ) -> None:
        """`pools` gives the registered pools by address; it may raise RpcUnavailable.

        Priority fee and tip together are at most `max_priority_fee_lamports`; a tip goes to one of `tip_accounts`.
        """
        self._tip_accounts = frozenset(tip_accounts)
        self._swap_programs = {program.program_id: program for program in swap_programs}
        self._pools = pools
        self._max_priority_fee_lamports = max_priority_fee_lamports

    def approve(self, message: bytes, terms: OrderTerms) -> ApprovedMessage:
        """The message, if these bytes are a transaction that keeps the terms.

        Raises SigningRefused with the reason, which never quotes the bytes, and what `pools` raises.
        """
        _check_terms(terms)
        parsed = _parse(message, terms.wallet)
        found = [_Found.of(parsed, index) for index in range(len(parsed.instructions))]
        swaps = self._swaps(found, terms)
        tokens = _follow(swaps, terms)
        budget = _config_budget(parsed) if isinstance(parsed, MessageV1) else _instructed_budget(found)
        tip = _tip(found)
        self._check_fees(budget, tip, terms)
        expected = [
            *budget.instructions,
            *_opening(tokens, terms),
            *(swap.instruction for swap in swaps),
            *_closing(tokens, terms),
            *tip.instructions(terms),
            _memo(terms),
        ]
        _compare(found, expected)
        if _compiled(terms.wallet, expected, parsed.recent_blockhash, budget.config) != message:
            raise SigningRefused("its header gives accounts other rights than its instructions need")
        return ApprovedMessage(_Seal(), parsed, terms.wallet)

    def _check_fees(self, budget: _Budget, tip: _Tip, terms: OrderTerms) -> None:
        """Raises SigningRefused where it costs more than the cap, or than the order allows, or tips a stranger."""
        if tip.lamports and tip.account not in self._tip_accounts:
            raise SigningRefused(f"it tips {tip.account}, which is no lane's account")
        lamports, named = (
            budget.priority_lamports + tip.lamports,
            "priority fee and tip" if tip.lamports else "priority fee",
        )
        if lamports > self._max_priority_fee_lamports:
            raise SigningRefused(
                f"its {named} of {lamports} lamports is above the cap of {self._max_priority_fee_lamports}"
            )
        if _BASE_FEE_LAMPORTS + lamports > terms.most_lamports:
            raise SigningRefused(
                f"its fee of {_BASE_FEE_LAMPORTS + lamports} lamports is above the {terms.most_lamports} of the order"
            )

    def _swaps(self, found: Sequence[_Found], terms: OrderTerms) -> list[DecodedSwap]:
        """The swaps in their order, each at a registered pool."""
        pools = self._pools()
        swaps = []
        for one in found:
            program = self._swap_programs.get(one.program)
            if program is None:
                continue
            try:
                swap = program.decode_swap(one.accounts, one.data)
            except NotOurSwap as error:
                raise SigningRefused(f"an instruction to {one.program} is no swap of ours: {error}") from error
            pool = pools.get(swap.pool)
            if pool is None or pool.program != one.program:
                raise SigningRefused(f"pool {swap.pool} is not registered")
            swap = _with_directions(swap, pool.mints)
            if {token.mint for token in swap.directions[0]} != set(pool.mints):
                raise SigningRefused(f"pool {swap.pool} trades other tokens than its swap names")
            if swap.trader != terms.wallet:
                raise SigningRefused("a swap is another trader's")
            swaps.append(swap)
        return swaps


def _with_directions(swap: DecodedSwap, mints: tuple[Pubkey, Pubkey]) -> DecodedSwap:
    """The swap with the ways that it can go, where the instruction leaves its mints to the pool."""
    if swap.directions_between is None:
        return swap
    try:
        return replace(swap, directions=swap.directions_between(mints))
    except NotOurSwap as error:
        raise SigningRefused(f"a swap at pool {swap.pool} is none of ours: {error}") from error


class _Budget(NamedTuple):
    """What a message says of its computing: by instructions or, in version 1, by its config; and what that costs."""

    priority_lamports: int
    instructions: tuple[Instruction, ...] = ()
    config: TransactionConfig | None = None


class _Tip(NamedTuple):
    """What a message pays to whom besides; nothing, to nobody, where it has no such instruction."""

    account: Pubkey | None = None
    lamports: int = 0

    def instructions(self, terms: OrderTerms) -> tuple[Instruction, ...]:
        if self.account is None:
            return ()
        metas = [_payer(terms), _writable(self.account), _readonly(_DONT_FRONT)]
        return (Instruction(SYSTEM_PROGRAM, _TRANSFER.pack(_TRANSFER_TAG, self.lamports), metas),)


class _Found(NamedTuple):
    """An instruction as it stands in a message, where accounts have no flags of their own."""

    program: Pubkey
    accounts: tuple[Pubkey, ...]
    data: bytes

    @classmethod
    def of(cls, message: _Message, index: int) -> _Found:
        compiled, keys = message.instructions[index], message.account_keys
        accounts = tuple(keys[account] for account in compiled.accounts)
        return cls(keys[compiled.program_id_index], accounts, bytes(compiled.data))

    @classmethod
    def from_instruction(cls, instruction: Instruction) -> _Found:
        accounts = tuple(meta.pubkey for meta in instruction.accounts)
        return cls(instruction.program_id, accounts, bytes(instruction.data))


def _check_terms(terms: OrderTerms) -> None:
    if terms.mint_in == terms.mint_out:
        raise SigningRefused("the order buys what it sells")
    if terms.amount_in < 1 or terms.min_out < 1:
        raise SigningRefused("the order's amount or floor makes no sense")
    if not 0 < terms.rent_lamports <= MAX_RENT_LAMPORTS:
        raise SigningRefused(f"a token account's rent can't be {terms.rent_lamports} lamports")


def _parse(message: bytes, wallet: Pubkey) -> _Message:
    """A message of version 0 or 1 that names all its accounts, for the wallet alone to sign and to pay for."""
    try:
        parsed = from_bytes_versioned(message)
        if isinstance(parsed, MessageV0 | MessageV1):
            parsed.sanitize()
        if isinstance(parsed, MessageV1):
            parsed.validate()
    except Exception as error:
        raise SigningRefused("the bytes are no transaction message") from error
    if not isinstance(parsed, MessageV0 | MessageV1):
        raise SigningRefused("it is neither a version 0 nor a version 1 message")
    if isinstance(parsed, MessageV0) and parsed.address_table_lookups:
        raise SigningRefused("it loads accounts through lookup tables")
    if parsed.header.num_required_signatures != 1:
        raise SigningRefused("others than the wallet must sign it")
    if parsed.account_keys[0] != wallet:
        raise SigningRefused("another account than the wallet pays its fee")
    return parsed


def _instructed_budget(found: Sequence[_Found]) -> _Budget:
    """By the first two instructions: a limit, and a price of each unit in millionths of a lamport."""
    limit = _argument(found, 0, _UNIT_LIMIT, _UNIT_LIMIT_TAG)
    price = _argument(found, 1, _UNIT_PRICE, _UNIT_PRICE_TAG)
    instructions = (
        Instruction(COMPUTE_BUDGET_PROGRAM, _UNIT_LIMIT.pack(_UNIT_LIMIT_TAG, limit), []),
        Instruction(COMPUTE_BUDGET_PROGRAM, _UNIT_PRICE.pack(_UNIT_PRICE_TAG, price), []),
    )
    return _Budget(ceil_div(limit * price, 1_000_000), instructions)


def _config_budget(message: MessageV1) -> _Budget:
    """By the message's config, whose fee is a total in lamports. What it leaves out counts as 0 (SIMD-0385)."""
    config = message.config
    fee, limit = config.priority_fee, config.compute_unit_limit
    if fee is None or not limit:
        raise SigningRefused("it does not say its compute-unit limit and its priority fee")
    if config.loaded_accounts_data_size_limit != _LOADED_ACCOUNTS_BYTES or config.heap_size is not None:
        raise SigningRefused("it asks for other memory than a swap of ours needs")
    config = TransactionConfig(
        priority_fee=fee, compute_unit_limit=limit, loaded_accounts_data_size_limit=_LOADED_ACCOUNTS_BYTES
    )
    return _Budget(fee, config=config)


def _tip(found: Sequence[_Found]) -> _Tip:
    """By the last instruction but one, where it is a transfer of lamports; whose, is compared with all the others."""
    if len(found) > 1:
        program, accounts, data = found[-2]
        if program == SYSTEM_PROGRAM and len(accounts) > 1 and len(data) == _TRANSFER.size:
            tag, lamports = _TRANSFER.unpack(data)
            if tag == _TRANSFER_TAG and lamports:
                return _Tip(accounts[1], lamports)
    return _Tip()


def _argument(found: Sequence[_Found], index: int, layout: Struct, tag: int) -> int:
    """The number that the instruction at `index`, one to the compute budget, sets."""
    if index < len(found):
        program, accounts, data = found[index]
        if program == COMPUTE_BUDGET_PROGRAM and not accounts and len(data) == layout.size and data[0] == tag:
            return int(layout.unpack(data)[1])
    raise SigningRefused("it does not begin with a compute-unit limit and price")


def _follow(swaps: Sequence[DecodedSwap], terms: OrderTerms) -> list[TokenMint]:
    """The tokens on the way, from the order's input to its output, if the swaps keep the order's amounts.

    What a swap may spend is the order's amount, or what the swaps before it guarantee: never what the wallet holds
    besides.
    """
    held = {terms.mint_in: terms.amount_in}
    tokens: dict[Pubkey, TokenMint] = {}
    for swap in swaps:
        token_in, token_out = _direction(swap, terms)
        for token in (token_in, token_out):
            if tokens.setdefault(token.mint, token) != token:
                raise SigningRefused(f"{token.mint} is said to belong to two token programs")
        if token_in.mint == terms.mint_out or token_out.mint == terms.mint_in:
            raise SigningRefused("a swap goes backwards")
        if not 0 < swap.amount_in <= held.get(token_in.mint, 0):
            raise SigningRefused(f"a swap spends {swap.amount_in} of {token_in.mint}, more than it may")
        if swap.minimum_out < 1:
            raise SigningRefused("a swap has no floor")
        held[token_in.mint] -= swap.amount_in
        held[token_out.mint] = held.get(token_out.mint, 0) + swap.minimum_out
    guaranteed = held.pop(terms.mint_out, 0)
    if any(held.values()):
        raise SigningRefused("its swaps do not spend all of what goes into them")
    if guaranteed < terms.min_out:
        raise SigningRefused(f"it guarantees {guaranteed}, less than the order's floor of {terms.min_out}")
    between = [token for mint, token in tokens.items() if mint not in (terms.mint_in, terms.mint_out)]
    return [tokens[terms.mint_in], *between, tokens[terms.mint_out]]


def _direction(swap: DecodedSwap, terms: OrderTerms) -> tuple[TokenMint, TokenMint]:
    """Which way the swap goes: from one account of this order's into another."""
    for token_in, token_out in swap.directions:
        if swap.source == _own_account(token_in, terms) and swap.destination == _own_account(token_out, terms):
            return token_in, token_out
    raise SigningRefused("a swap takes from, or pays into, an account that is not this order's")


def _own_account(token: TokenMint, terms: OrderTerms) -> Pubkey | None:
    """Where this attempt keeps a token: the wallet's associated account, or for SOL the attempt's temporary one."""
    if token.mint == NATIVE_MINT:
        return _temporary_account(terms) if token.token_program == TOKEN_PROGRAM else None
    if token.token_program not in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        return None
    return associated_token_address(terms.wallet, token.mint, token.token_program)


def _seed(terms: OrderTerms) -> str:
    """Of the attempt's temporary account, 16 hexadecimal digits: SOL is traded at most once in an order."""
    side = "in" if terms.mint_in == NATIVE_MINT else "out"
    return sha256(f"fillrate:{terms.order_id}:{terms.attempt}:{side}:{terms.nonce}".encode()).hexdigest()[:16]


def _temporary_account(terms: OrderTerms) -> Pubkey:
    return Pubkey.create_with_seed(terms.wallet, _seed(terms), TOKEN_PROGRAM)


def _opening(tokens: Sequence[TokenMint], terms: OrderTerms) -> list[Instruction]:
    """SOL into a temporary account, wrapped where it is sold; the accounts of all other tokens but the one sold."""
    instructions: list[Instruction] = []
    for token in tokens:
        if token.mint == NATIVE_MINT:
            wrapped = terms.amount_in if token.mint == terms.mint_in else 0
            instructions += _open_temporary(terms, terms.rent_lamports + wrapped)
        elif token.mint != terms.mint_in:
            instructions.append(_open_associated(token, terms))
    return instructions


def _open_temporary(terms: OrderTerms, lamports: int) -> tuple[Instruction, Instruction]:
    """Made from the wallet's lamports, and owned by the wallet."""
    account, seed = _temporary_account(terms), _seed(terms).encode()
    head = _CREATE_WITH_SEED.pack(_CREATE_WITH_SEED_TAG, bytes(terms.wallet), len(seed), seed)
    tail = _CREATE_WITH_SEED_TAIL.pack(lamports, TOKEN_ACCOUNT_LENGTH, bytes(TOKEN_PROGRAM))
    create = Instruction(SYSTEM_PROGRAM, head + tail, [_payer(terms), _writable(account)])
    initialize = Instruction(
        TOKEN_PROGRAM, _INITIALIZE_ACCOUNT_3 + bytes(terms.wallet), [_writable(account), _readonly(NATIVE_MINT)]
    )
    return create, initialize


def _open_associated(token: TokenMint, terms: OrderTerms) -> Instruction:
    address = associated_token_address(terms.wallet, token.mint, token.token_program)
    others = (terms.wallet, token.mint, SYSTEM_PROGRAM, token.token_program)
    metas = [_payer(terms), _writable(address), *map(_readonly, others)]
    return Instruction(ASSOCIATED_TOKEN_PROGRAM, _CREATE_IDEMPOTENT, metas)


def _closing(tokens: Sequence[TokenMint], terms: OrderTerms) -> list[Instruction]:
    """The temporary account's lamports go back to the wallet."""
    if all(token.mint != NATIVE_MINT for token in tokens):
        return []
    metas = [_writable(_temporary_account(terms)), _writable(terms.wallet), _signer(terms)]
    return [Instruction(TOKEN_PROGRAM, _CLOSE_ACCOUNT, metas)]


def _memo(terms: OrderTerms) -> Instruction:
    return Instruction(MEMO_PROGRAM, f"fillrate:{terms.order_id}:{terms.attempt}".encode(), [_signer(terms)])


def _compare(found: Sequence[_Found], expected: Sequence[Instruction]) -> None:
    """Raises SigningRefused that names the first instruction which is not what the order needs there."""
    wanted = [_Found.from_instruction(instruction) for instruction in expected]
    for number, (one, other) in enumerate(zip_longest(found, wanted), start=1):
        if one != other:
            what = f"one to {one.program}" if one else "missing"
            needed = f"one to {other.program}" if other else "none"
            raise SigningRefused(f"instruction {number} is {what}; the order needs {needed}, with its own content")


def _compiled(
    wallet: Pubkey, instructions: Sequence[Instruction], blockhash: Hash, config: TransactionConfig | None
) -> bytes:
    """Of version 1 where it has a config."""
    message = (
        MessageV0.try_compile(wallet, list(instructions), [], blockhash)
        if config is None
        else MessageV1.try_compile(wallet, list(instructions), blockhash, config)
    )
    return bytes(to_bytes_versioned(message))


def _payer(terms: OrderTerms) -> AccountMeta:
    return AccountMeta(terms.wallet, is_signer=True, is_writable=True)


def _signer(terms: OrderTerms) -> AccountMeta:
    return AccountMeta(terms.wallet, is_signer=True, is_writable=False)


def _writable(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=True)


def _readonly(address: Pubkey) -> AccountMeta:
    return AccountMeta(address, is_signer=False, is_writable=False)
