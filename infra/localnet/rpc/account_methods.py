"""Methods that read accounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from solders.pubkey import Pubkey

from chalicelib.solana.accounts import Account
from chalicelib.solana.tokens import TokenAccount
from infra.localnet.ledger import Bank
from infra.localnet.message import ReadAccount
from infra.localnet.node import Node
from infra.localnet.rpc.account_filters import AccountFilter, account_filters
from infra.localnet.rpc.account_view import AccountRenderer, AccountView
from infra.localnet.rpc.answer import RawJson, in_context, raw_in_context
from infra.localnet.rpc.banks import bank_for
from infra.localnet.rpc.errors import invalid_params
from infra.localnet.rpc.params import Config, Params, parse_pubkey
from infra.localnet.rpc.token_view import delegate_of, mint_supply
from infra.localnet.token_state import TOKEN_PROGRAMS, mint, token_account
from infra.localnet.ui_amount import UiUnit

_MAX_ACCOUNTS = 100


class AccountMethods:
    """`table` has the methods by name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._renderer = AccountRenderer()
        self.table: dict[str, Callable[[Params], Any]] = {
            "getAccountInfo": self.account_info,
            "getMultipleAccounts": self.multiple_accounts,
            "getProgramAccounts": self.program_accounts,
            "getBalance": self.balance,
            "getTokenAccountBalance": self.token_account_balance,
            "getTokenAccountsByOwner": self.token_accounts_by_owner,
            "getTokenAccountsByDelegate": self.token_accounts_by_delegate,
            "getTokenSupply": self.token_supply,
            "getMinimumBalanceForRentExemption": self.minimum_balance_for_rent_exemption,
        }

    def account_info(self, params: Params) -> RawJson:
        address, config = params.pubkey(0), params.config(1)
        bank = bank_for(self._node, config)
        return raw_in_context(bank, self._render(address, bank, AccountView.of(config)))

    def multiple_accounts(self, params: Params) -> RawJson:
        addresses, config = params.pubkeys(0), params.config(1)
        if len(addresses) > _MAX_ACCOUNTS:
            raise invalid_params(f"Too many inputs provided; max {_MAX_ACCOUNTS}")
        bank, view = bank_for(self._node, config), AccountView.of(config)
        return raw_in_context(bank, f"[{','.join(self._render(address, bank, view) for address in addresses)}]")

    def program_accounts(self, params: Params) -> RawJson:
        program, config = params.pubkey(0), params.config(1)
        bank, view = bank_for(self._node, config), AccountView.of(config)
        found = self._keyed(self._node.ledger.accounts_of(program, bank), account_filters(config), bank, view)
        return raw_in_context(bank, found) if config.flag("withContext") else RawJson(found)

    def balance(self, params: Params) -> dict[str, Any]:
        bank = bank_for(self._node, params.config(1))
        account = self._node.ledger.account(params.pubkey(0), bank)
        return in_context(bank, 0 if account is None else account.lamports)

    def token_account_balance(self, params: Params) -> dict[str, Any]:
        bank = bank_for(self._node, params.config(1))
        account = self._node.ledger.account(params.pubkey(0), bank)
        if account is None:
            raise invalid_params("Invalid param: could not find account")
        holding = token_account(account)
        of_mint = None if holding is None else mint(holding.mint, self._reader(bank))
        if holding is None or of_mint is None:
            raise invalid_params("Invalid param: not a Token account")
        return in_context(bank, UiUnit.of(holding.mint, of_mint.decimals, self._reader(bank)).show(holding.amount))

    def token_accounts_by_owner(self, params: Params) -> RawJson:
        owner = params.pubkey(0)
        return self._token_accounts(params, lambda _, holding: holding.owner == owner)

    def token_accounts_by_delegate(self, params: Params) -> RawJson:
        delegate = params.pubkey(0)
        return self._token_accounts(params, lambda account, _: delegate_of(account) == delegate)

    def _token_accounts(self, params: Params, is_whose: Callable[[Account, TokenAccount], bool]) -> RawJson:
        """Those of the mint or program that is named."""
        config = params.config(2)
        bank, view = bank_for(self._node, config), AccountView.of(config)
        wanted = self._token_filter(params.config(1), bank)

        def is_wanted(account: Account) -> bool:
            holding = token_account(account)
            return holding is not None and is_whose(account, holding) and wanted(account, holding.mint)

        accounts = [pair for program in TOKEN_PROGRAMS for pair in self._node.ledger.accounts_of(program, bank)]
        return raw_in_context(bank, self._keyed(accounts, [is_wanted], bank, view))

    def token_supply(self, params: Params) -> dict[str, Any]:
        address = params.pubkey(0)
        bank = bank_for(self._node, params.config(1))
        account = self._node.ledger.account(address, bank)
        if account is None:
            raise invalid_params("Invalid param: could not find account")
        supply = mint_supply(address, account)
        if supply is None:
            raise invalid_params("Invalid param: not a Token mint")
        amount, of_mint = supply
        return in_context(bank, UiUnit.of(address, of_mint.decimals, self._reader(bank)).show(amount))

    def minimum_balance_for_rent_exemption(self, params: Params) -> int:
        return self._node.ledger.rent_exempt_minimum(params.number(0))

    def _render(self, address: Pubkey, bank: Bank, view: AccountView) -> str:
        return self._renderer.render(address, self._node.ledger.account(address, bank), view, self._reader(bank))

    def _keyed(self, accounts: Any, filters: list[AccountFilter], bank: Bank, view: AccountView) -> str:
        """A JSON array of the accounts that pass, with their addresses."""
        read = self._reader(bank)
        items = (
            f'{{"pubkey":"{address}","account":{self._renderer.render(address, account, view, read)}}}'
            for address, account in accounts
            if all(passes(account) for passes in filters)
        )
        return f"[{','.join(items)}]"

    def _reader(self, bank: Bank) -> ReadAccount:
        return lambda address: self._node.ledger.account(address, bank)

    def _token_filter(self, config: Config, bank: Bank) -> Callable[[Account, Pubkey], bool]:
        of_mint, program = config.text("mint"), config.text("programId")
        if of_mint is not None:
            wanted = parse_pubkey(of_mint)
            if mint(wanted, self._reader(bank)) is None:
                raise invalid_params("Invalid param: could not find mint")
            return lambda _, held: held == wanted
        if program is None:
            raise invalid_params("Invalid params: expected `mint` or `programId`.")
        owner = parse_pubkey(program)
        if owner not in TOKEN_PROGRAMS:
            raise invalid_params("Invalid param: unrecognized Token program id")
        return lambda account, _: account.owner == owner
