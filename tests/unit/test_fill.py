"""A fill is read from a landed transaction exactly, or not at all. Against real programs: test_chain_on_litesvm.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.solana.fill import Fill, FillUnreadable, read_fill

WALLET = Pubkey.from_string("7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3")
POOL = Pubkey.from_string("LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo")
SOL = Pubkey.from_string("So11111111111111111111111111111111111111112")
USDC = Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
USDT = Pubkey.from_string("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
RENT = 2_039_280


def _held(index: int, mint: Pubkey, owner: Pubkey, amount: int) -> dict[str, Any]:
    return {
        "accountIndex": index,
        "mint": str(mint),
        "owner": str(owner),
        "uiTokenAmount": {"amount": str(amount), "decimals": 6, "uiAmount": 0.1, "uiAmountString": "0.1"},
    }


def _sold_sol_for_usdc() -> dict[str, Any]:
    """2 SOL and a 5000-lamport fee out; 300 USDC into an account opened for it, beside untouched wrapped SOL."""
    return {
        "slot": 123,
        "transaction": {"message": {"accountKeys": [str(WALLET), "ata", "vault", "wsol"]}},
        "meta": {
            "err": None,
            "fee": 5_000,
            "preBalances": [10_000_000_000, 0, RENT, RENT + 77],
            "postBalances": [8_000_000_000 - 5_000 - RENT, RENT, RENT, RENT + 77],
            "preTokenBalances": [_held(2, USDC, POOL, 10**15), _held(3, SOL, WALLET, 77)],
            "postTokenBalances": [
                _held(1, USDC, WALLET, 300_000_000),
                _held(2, USDC, POOL, 10**15 - 300_000_000),
                _held(3, SOL, WALLET, 77),
            ],
        },
    }


EXPECTED = Fill(amount_in=2_000_000_000, amount_out=300_000_000, fee_lamports=5_000, slot=123)


def test_fee_and_rent_are_not_part_of_the_sol_that_was_sold() -> None:
    assert read_fill(_sold_sol_for_usdc(), WALLET, SOL, USDC) == EXPECTED


def test_a_fee_that_another_paid_is_not_added_to_the_wallets_sol() -> None:
    transaction = _sold_sol_for_usdc()
    transaction["transaction"]["message"]["accountKeys"] = ["payer", str(WALLET), "ata", "vault", "wsol"]
    meta = transaction["meta"]
    for name in ("preTokenBalances", "postTokenBalances"):
        for balance in meta[name]:
            balance["accountIndex"] += 1
    meta["preBalances"].insert(0, 9_000)
    meta["postBalances"].insert(0, 4_000)
    meta["postBalances"][1] += 5_000
    assert read_fill(transaction, WALLET, SOL, USDC) == EXPECTED


def test_closing_an_account_is_no_income() -> None:
    transaction = _sold_sol_for_usdc()
    transaction["transaction"]["message"]["accountKeys"].append("old")
    meta = transaction["meta"]
    meta["preBalances"].append(RENT)
    meta["postBalances"].append(0)
    meta["postBalances"][0] += RENT
    meta["preTokenBalances"].append(_held(4, USDT, WALLET, 0))
    assert read_fill(transaction, WALLET, SOL, USDC) == EXPECTED


def test_a_token_held_in_several_accounts_is_one_amount() -> None:
    transaction = _sold_sol_for_usdc()
    transaction["transaction"]["message"]["accountKeys"].append("second")
    meta = transaction["meta"]
    meta["preBalances"].append(RENT)
    meta["postBalances"].append(RENT)
    meta["preTokenBalances"].append(_held(4, USDC, WALLET, 50))
    meta["postTokenBalances"].append(_held(4, USDC, WALLET, 60))
    assert read_fill(transaction, WALLET, SOL, USDC).amount_out == 300_000_010


def test_accounts_from_lookup_tables_follow_the_messages_own() -> None:
    transaction = _sold_sol_for_usdc()
    transaction["transaction"]["message"]["accountKeys"] = [str(POOL), "ata", "vault"]
    transaction["meta"]["loadedAddresses"] = {"writable": ["wsol", str(WALLET)], "readonly": []}
    meta = transaction["meta"]
    for name in ("preBalances", "postBalances"):
        meta[name].append(meta[name][0])
        meta[name][0] = 1
    meta["postBalances"][4] += 5_000
    assert read_fill(transaction, WALLET, SOL, USDC) == EXPECTED


def test_parsed_json_is_read_as_well() -> None:
    transaction = _sold_sol_for_usdc()
    keys = transaction["transaction"]["message"]["accountKeys"]
    transaction["transaction"]["message"]["accountKeys"] = [{"pubkey": key, "signer": False} for key in keys]
    transaction["meta"]["loadedAddresses"] = {"writable": ["wsol"], "readonly": []}
    assert read_fill(transaction, WALLET, SOL, USDC) == EXPECTED


def test_a_fill_that_can_not_be_read_is_never_a_reason_to_execute_again() -> None:
    assert not issubclass(FillUnreadable, ExecutionError)


def test_a_failed_transaction_has_no_fill() -> None:
    transaction = _sold_sol_for_usdc()
    transaction["meta"]["err"] = {"InstructionError": [3, {"Custom": 6005}]}
    with pytest.raises(FillUnreadable, match="6005"):
        read_fill(transaction, WALLET, SOL, USDC)


@pytest.mark.parametrize(
    "missing", ["fee", "preBalances", "postBalances", "preTokenBalances", "postTokenBalances", "slot", "transaction"]
)
def test_a_transaction_that_lacks_data_has_no_fill(missing: str) -> None:
    transaction = _sold_sol_for_usdc()
    del (transaction if missing in transaction else transaction["meta"])[missing]
    with pytest.raises(FillUnreadable):
        read_fill(transaction, WALLET, SOL, USDC)


@pytest.mark.parametrize("meta", [None, {}])
def test_a_transaction_without_meta_has_no_fill(meta: object) -> None:
    with pytest.raises(FillUnreadable):
        read_fill({**_sold_sol_for_usdc(), "meta": meta}, WALLET, SOL, USDC)


@pytest.mark.parametrize(("mint_in", "mint_out"), [(USDC, SOL), (SOL, USDT), (USDT, USDC)])
def test_a_transaction_that_did_not_swap_these_tokens_has_no_fill(mint_in: Pubkey, mint_out: Pubkey) -> None:
    with pytest.raises(FillUnreadable, match="no swap"):
        read_fill(_sold_sol_for_usdc(), WALLET, mint_in, mint_out)


def test_a_transaction_of_another_wallet_has_no_fill() -> None:
    with pytest.raises(FillUnreadable):
        read_fill(_sold_sol_for_usdc(), Pubkey.new_unique(), SOL, USDC)


def test_reading_a_fill_leaves_the_transaction_as_it_was() -> None:
    transaction = _sold_sol_for_usdc()
    before = copy.deepcopy(transaction)
    read_fill(transaction, WALLET, SOL, USDC)
    assert transaction == before
