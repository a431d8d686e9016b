"""SPL Token and Token-2022 as the swap programs see them: mints, token accounts, transfer fees. Amounts are base units.

Layouts: solana-program/token, interface/src/state.rs; solana-program/token-2022, interface/src/extension/mod.rs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from struct import Struct

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN_PROGRAM = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
# Wrapped SOL, of the SPL Token program.
NATIVE_MINT = Pubkey.from_string("So11111111111111111111111111111111111111112")

MINT_LENGTH = 82
TOKEN_ACCOUNT_LENGTH = 165
# Token-2022 pads a mint to a token account's length; then comes one byte that tells the two apart, then extensions.
EXTENSIONS_OFFSET = TOKEN_ACCOUNT_LENGTH + 1
ONE_IN_BASIS_POINTS = 10_000

_U64_MAX = (1 << 64) - 1
_ACCOUNT_TYPE_MINT = 1
_ACCOUNT_TYPE_TOKEN_ACCOUNT = 2
# Of this length is a multisig of either program: neither may have a mint or token account of it.
_MULTISIG_LENGTH = 355
_DECIMALS_OFFSET = 44

# mint, owner, amount u64, delegate COption<Pubkey>, state u8
_TOKEN_ACCOUNT = Struct("<32s32sQ36xB")
_EXTENSION_HEADER = Struct("<HH")
# two authorities and the withheld amount, then older and newer: epoch u64, maximum_fee u64, basis_points u16
_TRANSFER_FEE_CONFIG = Struct("<32x32x8xQQHQQH")
# authority, program
_TRANSFER_HOOK = Struct("<32x32s")
# authority, paused u8
_PAUSABLE_CONFIG = Struct("<32xB")


class InvalidTokenData(ValueError):
    """An account is not the mint or token account it was taken for."""


class AccountState(IntEnum):
    """spl_token_interface::state::AccountState."""

    UNINITIALIZED = 0
    INITIALIZED = 1
    FROZEN = 2


# Looking up a member of an enumeration takes longer than the rest of decoding a token account.
_UNINITIALIZED, _FROZEN = int(AccountState.UNINITIALIZED), int(AccountState.FROZEN)


class ExtensionType(IntEnum):
    """Mint extensions of Token-2022; numbers as in `ExtensionType` of its interface/src/extension/mod.rs."""

    TRANSFER_FEE_CONFIG = 1
    MINT_CLOSE_AUTHORITY = 3
    CONFIDENTIAL_TRANSFER_MINT = 4
    DEFAULT_ACCOUNT_STATE = 6
    NON_TRANSFERABLE = 9
    INTEREST_BEARING_CONFIG = 10
    PERMANENT_DELEGATE = 12
    TRANSFER_HOOK = 14
    CONFIDENTIAL_TRANSFER_FEE_CONFIG = 16
    METADATA_POINTER = 18
    TOKEN_METADATA = 19
    GROUP_POINTER = 20
    TOKEN_GROUP = 21
    GROUP_MEMBER_POINTER = 22
    TOKEN_GROUP_MEMBER = 23
    CONFIDENTIAL_MINT_BURN = 24
    SCALED_UI_AMOUNT = 25
    PAUSABLE = 26
    PERMISSIONED_BURN = 28


# What accounts of a mint with these must have room for: TransferFeeAmount, NonTransferableAccount, TransferHookAccount,
# PausableAccount.
_ACCOUNT_EXTENSION_LENGTHS: dict[int, int] = {
    ExtensionType.TRANSFER_FEE_CONFIG: 8,
    ExtensionType.NON_TRANSFERABLE: 0,
    ExtensionType.TRANSFER_HOOK: 1,
    ExtensionType.PAUSABLE: 0,
}
_IMMUTABLE_OWNER_LENGTH = 0

# Whatever these say, a TransferChecked moves what it names: no fee, nobody else's consent, no further accounts.
_INDIFFERENT_TO_TRANSFERS = frozenset(ExtensionType) - {
    ExtensionType.DEFAULT_ACCOUNT_STATE,
    ExtensionType.NON_TRANSFERABLE,
    ExtensionType.TRANSFER_HOOK,
    ExtensionType.PAUSABLE,
}
_SCALING_WHAT_IS_SHOWN = frozenset({ExtensionType.INTEREST_BEARING_CONFIG, ExtensionType.SCALED_UI_AMOUNT})


@dataclass(frozen=True, slots=True)
class TransferFee:
    """One rate of a mint: `basis_points` of each transfer, at most `maximum_fee` base units, from `epoch` on."""

    epoch: int
    maximum_fee: int
    basis_points: int

    def fee(self, amount: int) -> int:
        """What the mint withholds of a transfer of `amount`, rounded up, capped (`TransferFee::calculate_fee`)."""
        if self.basis_points == 0 or amount == 0:
            return 0
        # -(-a // b) rounds up.
        return min(-(-amount * self.basis_points // ONE_IN_BASIS_POINTS), self.maximum_fee)


@dataclass(frozen=True, slots=True)
class TransferFeeConfig:
    """A mint's transfer fee and the one that replaces it at `newer.epoch`.

    Source: Token-2022, interface/src/extension/transfer_fee/mod.rs, `TransferFeeConfig`.
    """

    older: TransferFee
    newer: TransferFee

    def at(self, epoch: int) -> TransferFee:
        return self.newer if epoch >= self.newer.epoch else self.older

    def fee(self, amount: int, epoch: int) -> int:
        """What is withheld of a transfer of `amount` in `epoch`."""
        return self.at(epoch).fee(amount)


@dataclass(frozen=True, slots=True)
class Mint:
    """One token's mint. `unsupported_extensions` names what keeps a plain transfer of it from being predictable."""

    address: Pubkey
    token_program: Pubkey
    decimals: int
    transfer_fee: TransferFeeConfig | None = None
    extensions: frozenset[int] = field(default=frozenset())
    unsupported_extensions: tuple[str, ...] = field(default=())

    @classmethod
    def decode(cls, address: Pubkey, account: Account) -> Mint:
        """Read a mint of either token program. Raises InvalidTokenData."""
        return _decode_mint(address, account.owner, account.data)

    @property
    def is_shown_scaled(self) -> bool:
        """Whether wallets show its amounts multiplied, by a factor of the issuer's or by interest. No transfer is."""
        return not self.extensions.isdisjoint(_SCALING_WHAT_IS_SHOWN)

    def transfer_fee_on(self, amount: int, epoch: int) -> int:
        """What is withheld of a transfer of `amount` in `epoch`: nothing unless the mint has a transfer fee."""
        return 0 if self.transfer_fee is None else self.transfer_fee.fee(amount, epoch)

    def amount_after_transfer_fee(self, amount: int, epoch: int) -> int:
        """What a transfer of `amount` in `epoch` leaves in the destination."""
        return amount - self.transfer_fee_on(amount, epoch)


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """A balance: `amount` base units of `mint` that `owner` may spend."""

    mint: Pubkey
    owner: Pubkey
    amount: int
    frozen: bool = False

    @classmethod
    def decode(cls, account: Account) -> TokenAccount:
        """Read a token account of either token program. Raises InvalidTokenData."""
        mint, owner, amount, state = _token_account_fields(account)
        return cls(Pubkey(mint), Pubkey(owner), amount, state == _FROZEN)


def spendable_amount(account: Account, mint: bytes, owner: bytes) -> int:
    """What `owner` can spend of `mint` from a token account: `TokenAccount.decode` for the vaults of many pools.

    Raises InvalidTokenData where it is another's, of another mint, frozen, or no token account.
    """
    held_mint, holder, amount, state = _token_account_fields(account)
    if held_mint != mint or holder != owner:
        raise InvalidTokenData("the token account is of another mint or owner")
    if state == _FROZEN:
        raise InvalidTokenData("the token account is frozen")
    return amount


def extensions_of(address: Pubkey, mint: Account) -> dict[int, bytes]:
    """Each extension's own bytes of a mint by its type; none of an SPL Token mint. Raises InvalidTokenData."""
    Mint.decode(address, mint)
    return {} if mint.owner == TOKEN_PROGRAM else _extensions(address, mint.data)


def associated_account_length(mint: Mint) -> int:
    """Bytes of an associated account of the mint, as its program opens it: with it go the extensions that it asks for.

    Source: Token-2022, `get_required_init_account_extensions` and, of every associated account, ImmutableOwner.
    """
    if mint.token_program == TOKEN_PROGRAM:
        return TOKEN_ACCOUNT_LENGTH
    own = [_ACCOUNT_EXTENSION_LENGTHS[kind] for kind in mint.extensions if kind in _ACCOUNT_EXTENSION_LENGTHS]
    return EXTENSIONS_OFFSET + sum(_EXTENSION_HEADER.size + length for length in (_IMMUTABLE_OWNER_LENGTH, *own))


def associated_token_address(owner: Pubkey, mint: Pubkey, token_program: Pubkey) -> Pubkey:
    """The address where `owner`'s balance of `mint` is looked for first."""
    seeds = [bytes(owner), bytes(token_program), bytes(mint)]
    return Pubkey.find_program_address(seeds, ASSOCIATED_TOKEN_PROGRAM)[0]


# Mints hardly ever change between two reads, and pools are decoded anew for each quote.
@lru_cache(maxsize=1024)
def _decode_mint(address: Pubkey, owner: Pubkey, data: bytes) -> Mint:
    if owner == TOKEN_PROGRAM:
        if len(data) != MINT_LENGTH:
            raise InvalidTokenData(f"{address} is no mint: {len(data)} bytes")
        _check_initialized(address, data)
        return Mint(address, owner, data[_DECIMALS_OFFSET])
    if owner != TOKEN_2022_PROGRAM:
        raise InvalidTokenData(f"{address} is no mint: owned by {owner}")
    if len(data) != MINT_LENGTH:
        _check_account_type(address, data, _ACCOUNT_TYPE_MINT)
    _check_initialized(address, data)
    extensions = _extensions(address, data)
    return Mint(
        address,
        owner,
        data[_DECIMALS_OFFSET],
        transfer_fee=_transfer_fee_config(extensions),
        extensions=frozenset(extensions),
        unsupported_extensions=_unsupported(extensions),
    )


def _check_initialized(address: Pubkey, data: bytes) -> None:
    if not data[_DECIMALS_OFFSET + 1]:
        raise InvalidTokenData(f"{address} is no mint: not initialized")


def _token_account_fields(account: Account) -> tuple[bytes, bytes, int, int]:
    """mint, owner, amount, state"""
    data, program = account.data, account.owner
    if program != TOKEN_PROGRAM:
        if program != TOKEN_2022_PROGRAM:
            raise InvalidTokenData(f"no token account: owned by {program}")
        if len(data) != TOKEN_ACCOUNT_LENGTH:
            _check_account_type(None, data, _ACCOUNT_TYPE_TOKEN_ACCOUNT)
    elif len(data) != TOKEN_ACCOUNT_LENGTH:
        raise InvalidTokenData(f"no token account: {len(data)} bytes")
    fields: tuple[bytes, bytes, int, int] = _TOKEN_ACCOUNT.unpack_from(data)
    if fields[3] == _UNINITIALIZED:
        raise InvalidTokenData("the token account is not initialized")
    return fields


def _check_account_type(address: Pubkey | None, data: bytes, expected: int) -> None:
    length = len(data)
    if length < EXTENSIONS_OFFSET or length == _MULTISIG_LENGTH or data[EXTENSIONS_OFFSET - 1] != expected:
        kind = "mint" if expected == _ACCOUNT_TYPE_MINT else "token account"
        raise InvalidTokenData(f"{address or 'the account'} is no {kind} of Token-2022")


def _extensions(address: Pubkey, data: bytes) -> dict[int, bytes]:
    """Each extension's own bytes by its type. An entry of type 0, or less than a header, ends the list."""
    found: dict[int, bytes] = {}
    offset = EXTENSIONS_OFFSET
    while offset + _EXTENSION_HEADER.size <= len(data):
        kind, length = _EXTENSION_HEADER.unpack_from(data, offset)
        if kind == 0:
            break
        offset += _EXTENSION_HEADER.size
        if offset + length > len(data):
            raise InvalidTokenData(f"{address} is no mint: extension {kind} is cut short")
        found[kind] = data[offset : offset + length]
        offset += length
    return found


def _transfer_fee_config(extensions: dict[int, bytes]) -> TransferFeeConfig | None:
    data = extensions.get(ExtensionType.TRANSFER_FEE_CONFIG)
    if data is None:
        return None
    if len(data) != _TRANSFER_FEE_CONFIG.size:
        raise InvalidTokenData(f"a transfer fee of {len(data)} bytes")
    fields = _TRANSFER_FEE_CONFIG.unpack(data)
    return TransferFeeConfig(TransferFee(*fields[:3]), TransferFee(*fields[3:]))


def _unsupported(extensions: dict[int, bytes]) -> tuple[str, ...]:
    """What makes a transfer need further accounts, or fail. An extension that does nothing now is no obstacle.

    Tokenised shares, for one, carry a hook without a program and a switch that is not thrown.
    """
    return tuple(
        _extension_name(kind)
        for kind, data in sorted(extensions.items())
        if kind not in _INDIFFERENT_TO_TRANSFERS and not _is_dormant(kind, data)
    )


def _extension_name(kind: int) -> str:
    try:
        return ExtensionType(kind).name.lower()
    except ValueError:
        return f"extension_{kind}"


def _is_dormant(kind: int, data: bytes) -> bool:
    if kind == ExtensionType.TRANSFER_HOOK:
        return len(data) == _TRANSFER_HOOK.size and not any(_TRANSFER_HOOK.unpack(data)[0])
    if kind == ExtensionType.PAUSABLE:
        return len(data) == _PAUSABLE_CONFIG.size and not _PAUSABLE_CONFIG.unpack(data)[0]
    if kind == ExtensionType.DEFAULT_ACCOUNT_STATE:
        # Frozen by default: the account that an order opens for its output could not receive it.
        return data == bytes([AccountState.INITIALIZED])
    return False
