"""A fill is read from a landed transaction exactly, or not at all. Against real programs: test_chain_on_litesvm.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chalicelib.problems import ExecutionError
from chalicelib.solana.fill import Fill, FillUnreadable, lamports_after, network_fee, read_fill

WALLET = Pubkey.from_string("7oPa2PHQdZmjSPqvpZN7MQxnC7Dcf3uL4oLqknGLk2S3")
POOL = Pubkey.from_string("LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo")
SOL = Pubkey.from_string("So11111111111111111111111111111111111111112")
USDC = Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
USDT = Pubkey.from_string("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
RENT = 2_039_280


def held(index: int, mint: Pubkey, owner: Pubkey, amount: int) -> dict[str, Any]:
    return {
        "accountIndex": index,
        "mint": str(mint),
        "owner": str(owner),
        "uiTokenAmount": {"amount": str(amount), "decimals": 6, "uiAmount": 0.1, "uiAmountString": "0.1"},
    }


def sold_sol_for_usdc() -> dict[str, Any]:
    """2 SOL and a 5000-lamport fee out; 300 USDC into an account opened for it, beside untouched wrapped SOL."""
    return {
        "slot": 123,
        "transaction": {"message": {"accountKeys": [str(WALLET), "ata", "vault", "wsol"]}},
        "meta": {
            "err": None,
            "fee": 5_000,
            "preBalances": [10_000_000_000, 0, RENT, RENT + 77],
            "postBalances": [8_000_000_000 - 5_000 - RENT, RENT, RENT, RENT + 77],
            "preTokenBalances": [held(2, USDC, POOL, 10**15), held(3, SOL, WALLET, 77)],
            "postTokenBalances": [
                held(1, USDC, WALLET, 300_000_000),
                held(2, USDC, POOL, 10**15 - 300_000_000),
                held(3, SOL, WALLET, 77),
            ],
        },
    }


EXPECTED = Fill(amount_in=2_000_000_000, amount_out=300_000_000, fee_lamports=5_000, slot=123)


def test_fee_and_rent_are_not_part_of_the_sol_that_was_sold() -> None:
    assert read_fill(sold_sol_for_usdc(), WALLET, SOL, USDC) == EXPECTED


def test_a_tip_is_not_part_of_the_sol_that_was_sold() -> None:
    transaction = sold_sol_for_usdc()
    transaction["transaction"]["message"]["accountKeys"].append("lane")
    meta = transaction["meta"]
    meta["preBalances"].append(RENT)
    meta["postBalances"].append(RENT + 10_000)
    meta["postBalances"][0] -= 10_000
    assert read_fill(transaction, WALLET, SOL, USDC, tip_lamports=10_000) == EXPECTED


def test_a_fee_that_another_paid_is_not_added_to_the_wallets_sol() -> None:
    transaction = sold_sol_for_usdc()
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
    transaction = sold_sol_for_usdc()
    transaction["transaction"]["message"]["accountKeys"].append("old")
    meta = transaction["meta"]
    meta["preBalances"].append(RENT)
    meta["postBalances"].append(0)
    meta["postBalances"][0] += RENT
    meta["preTokenBalances"].append(held(4, USDT, WALLET, 0))
    assert read_fill(transaction, WALLET, SOL, USDC) == EXPECTED


def test_a_token_held_in_several_accounts_is_one_amount() -> None:
    transaction = sold_sol_for_usdc()
    transaction["transaction"]["message"]["accountKeys"].append("second")
    meta = transaction["meta"]
    meta["preBalances"].append(RENT)
    meta["postBalances"].append(RENT)
    meta["preTokenBalances"].append(held(4, USDC, WALLET, 50))
    meta["postTokenBalances"].append(held(4, USDC, WALLET, 60))
    assert read_fill(transaction, WALLET, SOL, USDC).amount_out == 300_000_010


@pytest.mark.parametrize(
    "loaded",
    [
        {"writable": ["wsol", str(WALLET)], "readonly": []},
        {"writable": ["wsol"], "readonly": [str(WALLET)]},
    ],
)
def test_accounts_from_lookup_tables_follow_the_messages_own(loaded: dict[str, list[str]]) -> None:
    transaction = sold_sol_for_usdc()
    transaction["transaction"]["message"]["accountKeys"] = [str(POOL), "ata", "vault"]
    transaction["meta"]["loadedAddresses"] = loaded
    meta = transaction["meta"]
    for name in ("preBalances", "postBalances"):
        meta[name].append(meta[name][0])
        meta[name][0] = 1
    meta["postBalances"][4] += 5_000
    assert read_fill(transaction, WALLET, SOL, USDC) == EXPECTED


def test_parsed_json_is_read_as_well() -> None:
    transaction = sold_sol_for_usdc()
    keys = transaction["transaction"]["message"]["accountKeys"]
    transaction["transaction"]["message"]["accountKeys"] = [{"pubkey": key, "signer": False} for key in keys]
    transaction["meta"]["loadedAddresses"] = {"writable": ["wsol"], "readonly": []}
    assert read_fill(transaction, WALLET, SOL, USDC) == EXPECTED


def test_a_fill_that_can_not_be_read_is_never_a_reason_to_execute_again() -> None:
    assert not issubclass(FillUnreadable, ExecutionError)


def test_a_failed_transaction_has_no_fill() -> None:
    transaction = sold_sol_for_usdc()
    transaction["meta"]["err"] = {"InstructionError": [3, {"Custom": 6005}]}
    with pytest.raises(FillUnreadable, match="6005"):
        read_fill(transaction, WALLET, SOL, USDC)


@pytest.mark.parametrize(
    "missing", ["fee", "preBalances", "postBalances", "preTokenBalances", "postTokenBalances", "slot", "transaction"]
)
def test_a_transaction_that_lacks_data_has_no_fill(missing: str) -> None:
    transaction = sold_sol_for_usdc()
    del (transaction if missing in transaction else transaction["meta"])[missing]
    with pytest.raises(FillUnreadable, match=r"lacks what its fill is read from \(KeyError\)"):
        read_fill(transaction, WALLET, SOL, USDC)


@pytest.mark.parametrize("meta", [None, {}])
def test_a_transaction_without_meta_has_no_fill(meta: object) -> None:
    with pytest.raises(FillUnreadable):
        read_fill({**sold_sol_for_usdc(), "meta": meta}, WALLET, SOL, USDC)


@pytest.mark.parametrize(("mint_in", "mint_out"), [(USDC, SOL), (SOL, USDT), (USDT, USDC)])
def test_a_transaction_that_did_not_swap_these_tokens_has_no_fill(mint_in: Pubkey, mint_out: Pubkey) -> None:
    with pytest.raises(FillUnreadable, match="no swap"):
        read_fill(sold_sol_for_usdc(), WALLET, mint_in, mint_out)


def test_a_transaction_of_another_wallet_has_no_fill() -> None:
    with pytest.raises(FillUnreadable):
        read_fill(sold_sol_for_usdc(), Pubkey.new_unique(), SOL, USDC)


def test_one_unit_for_one_unit_is_a_swap_and_nothing_for_something_is_none() -> None:
    assert _traded(paid=1, received=1) == Fill(1, 1, 5_000, 123)
    for paid, received in ((0, 1), (1, 0)):
        with pytest.raises(FillUnreadable, match=f"no swap: {paid} paid, {received} received"):
            _traded(paid, received)


@pytest.mark.parametrize(("kept", "left_over"), [(9, ((USDT, 9),)), (1, ((USDT, 1),)), (0, ()), (-1, ())])
def test_what_the_first_hop_paid_and_the_second_did_not_spend_is_left_over(
    kept: int, left_over: tuple[tuple[Pubkey, int], ...]
) -> None:
    transaction = sold_sol_for_usdc()
    transaction["transaction"]["message"]["accountKeys"].append("between")
    meta = transaction["meta"]
    for name, amount in (("preTokenBalances", 500), ("postTokenBalances", 500 + kept)):
        meta[name].append(held(4, USDT, WALLET, amount))
    for name in ("preBalances", "postBalances"):
        meta[name].append(RENT)
    filled = read_fill(transaction, WALLET, SOL, USDC, between=(USDT,))
    assert (filled.amount_in, filled.amount_out, filled.left_over) == (2_000_000_000, 300_000_000, left_over)


def _traded(paid: int, received: int) -> Fill:
    """USDT for USDC, with a fee and nothing else."""
    before = [held(1, USDT, WALLET, 100), held(2, USDC, WALLET, 100)]
    after = [held(1, USDT, WALLET, 100 - paid), held(2, USDC, WALLET, 100 + received)]
    balances = {"preBalances": [9_000, RENT, RENT], "postBalances": [4_000, RENT, RENT]}
    meta = {"err": None, "fee": 5_000, **balances, "preTokenBalances": before, "postTokenBalances": after}
    message = {"accountKeys": [str(WALLET), "usdt", "usdc"]}
    return read_fill({"slot": 123, "transaction": {"message": message}, "meta": meta}, WALLET, USDT, USDC)


# --- what the wallet holds afterwards -----------------------------------------------------------------------------


def test_the_wallets_own_lamports_after_a_transaction_are_those_of_its_address_alone() -> None:
    assert lamports_after(sold_sol_for_usdc(), WALLET) == 8_000_000_000 - 5_000 - RENT
    loaded = sold_sol_for_usdc()
    loaded["transaction"]["message"]["accountKeys"] = ["payer", "ata"]
    loaded["meta"]["loadedAddresses"] = {"writable": ["vault"], "readonly": [str(WALLET)]}
    assert lamports_after(loaded, WALLET) == RENT + 77


@pytest.mark.parametrize("missing", ["meta", "postBalances", "transaction"])
def test_a_transaction_that_lacks_data_has_no_balance_of_the_wallet(missing: str) -> None:
    transaction = sold_sol_for_usdc()
    del (transaction if missing in transaction else transaction["meta"])[missing]
    with pytest.raises(FillUnreadable, match=f"lacks the wallet's balance .*{missing}"):
        lamports_after(transaction, WALLET)


def test_a_wallet_that_takes_no_part_in_a_transaction_has_no_balance_in_it() -> None:
    with pytest.raises(FillUnreadable, match="lacks the wallet's balance"):
        lamports_after(sold_sol_for_usdc(), Pubkey.new_unique())


def test_reading_a_fill_leaves_the_transaction_as_it_was() -> None:
    transaction = sold_sol_for_usdc()
    before = copy.deepcopy(transaction)
    read_fill(transaction, WALLET, SOL, USDC)
    assert transaction == before


# --- what the network took ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("err", [None, {"InstructionError": [3, {"Custom": 6005}]}])
def test_the_network_takes_its_fee_of_a_swap_that_failed_too(err: object) -> None:
    transaction = sold_sol_for_usdc()
    transaction["meta"]["err"] = err
    assert network_fee(transaction) == 5_000


@pytest.mark.parametrize(
    ("meta", "why"),
    [
        ({"err": None}, "KeyError('fee')"),
        ({"fee": -1}, "ValueError('not a u64')"),
        ({"fee": "5000"}, "ValueError('not a u64')"),
        (None, "TypeError(\"'NoneType' object is not subscriptable\")"),
    ],
)
def test_a_transaction_that_does_not_tell_its_fee_has_none(meta: object, why: str) -> None:
    with pytest.raises(FillUnreadable) as unreadable:
        network_fee({"slot": 123, "meta": meta})
    assert str(unreadable.value) == f"the transaction lacks its fee ({why})"
