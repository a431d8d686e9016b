"""What an account has and had: the wallet's balances, and what its orders were filled at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chalicelib.access.caller import Caller
from chalicelib.contract.account_views import balances_json, fill_list_json
from chalicelib.contract.fills_csv import fills_csv
from chalicelib.contract.requests import FillListRequest, Json, parse_query
from chalicelib.http.wrong_fields import read_whole, wrong_token
from chalicelib.orders.holdings import Holdings
from chalicelib.orders.pair import TokenDirectory, find_token_or_mint
from chalicelib.orders.ports import StandingOrders

# Where the next page of a CSV begins: its body has no place for it.
NEXT_CURSOR = "Next-Cursor"


class AccountApi:
    """An account's balances and fills."""

    def __init__(
        self,
        holdings: Callable[[], Holdings],
        fills: StandingOrders,
        tokens: TokenDirectory,
        reference_decimals: int,
    ) -> None:
        self._holdings = holdings
        self._fills = fills
        self._tokens = tokens
        self._reference_decimals = reference_decimals

    def balances(self, _caller: Caller) -> tuple[int, Json]:
        """GET /balances."""
        return 200, balances_json(self._holdings(), self._reference_decimals)

    def fills(self, caller: Caller, query: Mapping[str, str]) -> tuple[int, Json | str, Mapping[str, str]]:
        """GET /fills: JSON, or text where CSV is asked for."""
        request = read_whole(FillListRequest, parse_query(query), lambda asked: wrong_token(self._tokens, asked))
        mint = None if request.token is None else find_token_or_mint(self._tokens, "token", request.token)
        page = self._fills.fills(caller.account, request.from_, request.to, mint, request.limit, request.cursor)
        if request.format == "csv":
            headers = {"Content-Disposition": 'attachment; filename="fills.csv"'}
            if page.next_cursor is not None:
                headers[NEXT_CURSOR] = page.next_cursor
            return 200, fills_csv(page.orders), headers
        return 200, fill_list_json(page.orders, page.next_cursor), {}
