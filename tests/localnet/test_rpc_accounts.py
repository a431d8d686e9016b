"""Reading accounts over JSON-RPC."""

from __future__ import annotations

import base64

import pytest
from solders.keypair import Keypair

from infra.localnet import base58
from infra.localnet.consensus import ALPENGLOW, TOWER, ConsensusRules
from tests.localnet.rpc_client import PAYER, PROCESSED, SOL, USDC, RpcClient, RpcError, payment

TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"


@pytest.fixture(scope="module")
def rpc() -> RpcClient:
    return RpcClient()


def test_the_mints_have_their_mainnet_addresses_and_decimals(rpc: RpcClient) -> None:
    decimals = {
        SOL: 9,
        USDC: 6,
        "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB": 6,
        "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSZbKedZNsDvCN": 6,
        "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R": 6,
        "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263": 5,
    }
    accounts = rpc.call("getMultipleAccounts", list(decimals), {"encoding": "jsonParsed"})["value"]
    assert [one["data"]["parsed"]["info"]["decimals"] for one in accounts] == list(decimals.values())


def test_the_three_encodings_give_the_same_bytes(rpc: RpcClient) -> None:
    by_encoding = {
        encoding: rpc.call("getAccountInfo", USDC, {"encoding": encoding})["value"]["data"]
        for encoding in ("base64", "base58")
    }
    plain = rpc.call("getAccountInfo", USDC)["value"]["data"]
    data = base64.b64decode(by_encoding["base64"][0])
    assert len(data) == 82
    assert base58.decode(by_encoding["base58"][0]) == data
    assert base58.decode(plain) == data


def test_a_slice_is_part_of_the_data_and_space_is_the_whole_length(rpc: RpcClient) -> None:
    whole = rpc.call("getAccountInfo", USDC, {"encoding": "base64"})["value"]
    part = rpc.call("getAccountInfo", USDC, {"encoding": "base64", "dataSlice": {"offset": 36, "length": 8}})["value"]
    assert base64.b64decode(part["data"][0]) == base64.b64decode(whole["data"][0])[36:44]
    assert part["space"] == whole["space"] == 82


def test_an_account_that_is_not_there_is_null(rpc: RpcClient) -> None:
    nobody = str(Keypair().pubkey())
    assert rpc.call("getAccountInfo", nobody)["value"] is None
    assert rpc.call("getMultipleAccounts", [nobody, USDC], {"encoding": "base64"})["value"][0] is None
    assert rpc.call("getBalance", nobody)["value"] == 0


def test_many_accounts_are_read_at_one_slot_and_no_more_than_100(rpc: RpcClient) -> None:
    result = rpc.call("getMultipleAccounts", [USDC] * 100, {"encoding": "base64", **PROCESSED})
    assert len(result["value"]) == 100
    assert result["context"]["slot"] == rpc.call("getSlot", PROCESSED)
    with pytest.raises(RpcError, match="Too many inputs") as refused:
        rpc.call("getMultipleAccounts", [USDC] * 101)
    assert refused.value.code == -32602


def test_a_changed_account_is_never_answered_from_an_old_rendering(rpc: RpcClient) -> None:
    newcomer = Keypair().pubkey()
    for lamports in (10**9, 2 * 10**9):
        rpc.submit(rpc.transaction(payment(newcomer)))
        value = rpc.call("getAccountInfo", str(newcomer), {"encoding": "base64", **PROCESSED})["value"]
        assert value["lamports"] == lamports
        rpc.advance(1)


@pytest.mark.parametrize(
    ("chain", "slots", "finalized"),
    [(ALPENGLOW, [0, 1, 2], [0, 10**9, 10**9]), (TOWER, [0, 2, 32], [0, 0, 10**9])],
    ids=["alpenglow", "tower"],
)
def test_commitment_says_how_old_the_answer_is(chain: ConsensusRules, slots: list[int], finalized: list[int]) -> None:
    rpc, newcomer = RpcClient(consensus=chain), Keypair().pubkey()
    rpc.submit(rpc.transaction(payment(newcomer)))
    seen, passed = [], 0
    for slot in slots:
        rpc.advance(slot - passed)
        passed = slot
        seen.append([rpc.balance(newcomer, level) for level in ("processed", "confirmed", "finalized")])
    assert seen == [[10**9, 10**9 if slot else 0, final] for slot, final in zip(slots, finalized, strict=True)]
    assert rpc.call("getBalance", str(newcomer))["value"] == 10**9


def test_token_balances_by_account_owner_and_mint(rpc: RpcClient) -> None:
    owner = str(PAYER.pubkey())
    (entry,) = rpc.call("getTokenAccountsByOwner", owner, {"mint": USDC}, {"encoding": "jsonParsed"})["value"]
    held = entry["account"]["data"]["parsed"]["info"]["tokenAmount"]
    assert held["uiAmountString"] == "1000000"
    assert rpc.call("getTokenAccountBalance", entry["pubkey"])["value"] == held
    by_program = rpc.call("getTokenAccountsByOwner", owner, {"programId": TOKEN_PROGRAM}, {"encoding": "base64"})
    assert len(by_program["value"]) == 5
    levy = rpc.call("getTokenAccountsByOwner", owner, {"programId": TOKEN_2022}, {"encoding": "jsonParsed"})["value"]
    info = levy[0]["account"]["data"]["parsed"]["info"]
    assert {"extension": "transferFeeAmount", "state": {"withheldAmount": 0}} in info["extensions"]


def test_the_fee_token_says_its_symbol_and_its_fee(rpc: RpcClient) -> None:
    mints = rpc.call("getProgramAccounts", TOKEN_2022, {"encoding": "jsonParsed"})
    (levy,) = (one for one in mints if one["account"]["data"]["parsed"]["type"] == "mint")
    extensions = {one["extension"]: one["state"] for one in levy["account"]["data"]["parsed"]["info"]["extensions"]}
    assert extensions["tokenMetadata"]["symbol"] == "LEVY"
    assert extensions["transferFeeConfig"]["newerTransferFee"]["transferFeeBasisPoints"] == 50
    supply = rpc.call("getTokenSupply", levy["pubkey"])["value"]
    assert supply["amount"] == levy["account"]["data"]["parsed"]["info"]["supply"]


def test_program_accounts_by_size_and_content(rpc: RpcClient) -> None:
    owner = PAYER.pubkey()
    filters = [{"dataSize": 165}, {"memcmp": {"offset": 32, "bytes": str(owner)}}]
    found = rpc.call("getProgramAccounts", TOKEN_PROGRAM, {"encoding": "base64", "filters": filters})
    assert len(found) == 5
    assert all(base64.b64decode(one["account"]["data"][0])[32:64] == bytes(owner) for one in found)
    in_base64 = {"offset": 32, "bytes": base64.b64encode(bytes(owner)).decode(), "encoding": "base64"}
    same = rpc.call("getProgramAccounts", TOKEN_PROGRAM, {"encoding": "base64", "filters": [{"memcmp": in_base64}]})
    assert {one["pubkey"] for one in same} == {one["pubkey"] for one in found}
    wrapped = rpc.call(
        "getProgramAccounts", TOKEN_PROGRAM, {"filters": filters, "withContext": True, "encoding": "base64"}
    )
    assert len(wrapped["value"]) == 5


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("getBalance", ["not-base58-0"], "Invalid"),
        ("getBalance", ["abc"], "WrongSize"),
        ("getBalance", [], "at least 1"),
        ("getBalance", [7], "expected a string"),
        ("getBalance", [USDC, {"commitment": "soon"}], "commitment"),
        ("getAccountInfo", [USDC, {"encoding": "rot13"}], "encoding"),
        ("getAccountInfo", [USDC, {"encoding": "base64", "dataSlice": {"offset": 1}}], "dataSlice"),
        ("getTokenAccountBalance", [USDC], "not a Token account"),
        ("getTokenAccountsByOwner", [USDC, {}], "mint"),
        ("getTokenSupply", [TOKEN_PROGRAM], "not a Token mint"),
        ("getMinimumBalanceForRentExemption", [-1], "unsigned"),
        ("getProgramAccounts", [TOKEN_PROGRAM, {"filters": [{"colour": 1}]}], "filter"),
    ],
)
def test_wrong_parameters_are_named(rpc: RpcClient, method: str, params: list[object], message: str) -> None:
    with pytest.raises(RpcError, match=message) as refused:
        rpc.call(method, *params)
    assert refused.value.code == -32602


def test_a_slot_that_was_not_reached_is_its_own_error(rpc: RpcClient) -> None:
    slot = rpc.call("getSlot", PROCESSED)
    with pytest.raises(RpcError) as refused:
        rpc.call("getBalance", USDC, {**PROCESSED, "minContextSlot": slot + 1})
    assert (refused.value.code, refused.value.data) == (-32016, {"contextSlot": slot})


def test_rent_is_that_of_mainnet(rpc: RpcClient) -> None:
    assert rpc.call("getMinimumBalanceForRentExemption", 165) == 2_039_280
