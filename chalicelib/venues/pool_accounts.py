"""What every venue asks of a pool's accounts before it believes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM

from chalicelib.problems import AccountsMissing, TokenNotTradable, VenueUnavailable
from chalicelib.solana.accounts import Account, AccountMap
from chalicelib.solana.tokens import InvalidTokenData, Mint, spendable_amount

Decoded = TypeVar("Decoded")


class InvalidAccount(ValueError):
    """An account is not what it should be: wrong owner, discriminator, length, address or parent."""


def check_account(
    program: Pubkey, program_name: str, owner: Pubkey, data: bytes, discriminator: bytes, length: int, name: str
) -> None:
    """Raises InvalidAccount unless `program` owns it, and it begins and is as long as its accounts of that name are."""
    if owner != program:
        raise InvalidAccount(f"no {name} of {program_name}: owned by {owner}")
    if not data.startswith(discriminator) or len(data) != length:
        raise InvalidAccount(f"no {name} of {program_name}")


def account_at(address: Pubkey, accounts: AccountMap) -> Account | None:
    """What was read at `address`; None where nothing is there. Raises AccountsMissing where it was not read."""
    try:
        return accounts[address]
    except KeyError:
        raise AccountsMissing([str(address)]) from None


def existing_account(address: Pubkey, accounts: AccountMap) -> Account:
    """What was read at `address`. Raises VenueUnavailable where nothing is there, AccountsMissing."""
    account = account_at(address, accounts)
    if account is None:
        raise VenueUnavailable(f"account {address} does not exist")
    return account


def decoded(address: Pubkey, accounts: AccountMap, decode: Callable[[Account], Decoded]) -> Decoded:
    """What `decode` makes of the account at `address`.

    Raises VenueUnavailable where nothing is there, or where `decode` raises InvalidAccount; AccountsMissing.
    """
    account = existing_account(address, accounts)
    try:
        return decode(account)
    except InvalidAccount as error:
        raise VenueUnavailable(f"{address}: {error}") from error


def account_if_made(address: Pubkey, accounts: AccountMap) -> Account | None:
    """What a program has made at `address`, which it makes only where it needs to; None. Raises AccountsMissing."""
    account = account_at(address, accounts)
    # Anyone can send lamports to the address before the program makes the account.
    return None if account is None or account.owner == SYSTEM_PROGRAM else account


def tradable_mint(address: Pubkey, accounts: AccountMap) -> Mint:
    """The mint, if its transfers can be foreseen to the unit.

    Raises TokenNotTradable where they can't or are refused, VenueUnavailable where it is no mint, AccountsMissing.
    """
    account = existing_account(address, accounts)
    try:
        mint = Mint.decode(address, account)
    except InvalidTokenData as error:
        raise VenueUnavailable(str(error)) from error
    if mint.unsupported_extensions:
        raise TokenNotTradable(
            f"{address} can't be traded: its mint has {', '.join(mint.unsupported_extensions)}, "
            "so that a transfer is refused or can't be foreseen",
            str(address),
        )
    return mint


def vault_amount(vault: Pubkey, accounts: AccountMap, mint: Pubkey | bytes, authority: Pubkey | bytes) -> int:
    """What a pool's `authority` can pay out of its `vault` of `mint`, base units.

    Raises VenueUnavailable where the vault is frozen, another's or none; AccountsMissing.
    """
    try:
        return spendable_amount(existing_account(vault, accounts), bytes(mint), bytes(authority))
    except InvalidTokenData as error:
        raise VenueUnavailable(f"vault {vault}: {error}") from error
