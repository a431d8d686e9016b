"""A chain that was stopped cleanly goes on where it stopped; one that crashed begins anew, and never in between."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from solders.keypair import Keypair

from infra.localnet.startup import Options, StartupError, build
from testing.localnet import Localnet
from tests.localnet.rpc_client import PAYER, RpcClient, encoded, payment

PROCESSED = {"commitment": "processed"}


def resumed(directory: Path, *, seed: int = 0, reset: bool = False) -> RpcClient:
    return RpcClient(
        Options(seed=seed, with_traders=False, funded=(PAYER.pubkey(),), ledger_directory=directory, reset=reset)
    )


def test_accounts_transactions_and_time_go_on(tmp_path: Path) -> None:
    before, newcomer = resumed(tmp_path), Keypair().pubkey()
    sent, unsent = (before.transaction(payment(newcomer, lamports)) for lamports in (10**9, 10**9 + 1))
    signature = before.submit(sent)
    before.advance(3)
    config = {"maxSupportedTransactionVersion": 0, "commitment": "confirmed"}
    record = before.call("getTransaction", signature, config)
    before.chain.save()

    after = resumed(tmp_path)
    assert after.chain.is_resumed
    assert after.call("getGenesisHash") == before.call("getGenesisHash")
    assert after.call("getSlot", PROCESSED) == before.call("getSlot", PROCESSED) + 1
    assert after.balance(newcomer) == 10**9
    assert after.balance(PAYER.pubkey()) == before.balance(PAYER.pubkey())
    assert after.call("getTransaction", signature, config) == record
    assert after.chain.pools == before.chain.pools
    # What landed does not land again; what was signed before the stop still can.
    after.call("sendTransaction", encoded(sent), {"encoding": "base64", "skipPreflight": True})
    assert after.balance(newcomer) == 10**9
    after.submit(unsent)
    assert after.balance(newcomer) == 2 * 10**9 + 1


def test_pools_trade_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    stopped, never_stopped = resumed(tmp_path / "one"), resumed(tmp_path / "other")
    paid = []
    for number in range(3):
        for client in (stopped, never_stopped):
            for pool, _ in client.chain.pools[:4]:
                mint = str(client.chain.node.desk.pool(pool).sides[number % 2].mint)
                trade = {"pool": str(pool), "mintIn": mint, "amount": 10_000_000}
                paid.append(client.call("localnet_trade", trade)["amountOut"])
        stopped.chain.save()
        stopped = resumed(tmp_path / "one")
        assert paid[:4] == paid[4:]
        paid.clear()


def test_a_reset_begins_from_genesis(tmp_path: Path) -> None:
    before = resumed(tmp_path)
    before.chain.save()
    after = resumed(tmp_path, reset=True)
    assert not after.chain.is_resumed
    assert not resumed(tmp_path).chain.is_resumed


def test_another_market_is_not_mixed_with_it(tmp_path: Path) -> None:
    resumed(tmp_path).chain.save()
    with pytest.raises(StartupError, match="--seed 0"):
        build(Options(seed=1, ledger_directory=tmp_path))
    assert resumed(tmp_path).chain.is_resumed


def test_a_broken_file_is_named_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "chain.snapshot"
    file.write_bytes(b"broken")
    with pytest.raises(StartupError, match="can't be read"):
        resumed(tmp_path)
    assert file.exists()


def test_a_stop_keeps_the_chain_and_a_crash_does_not(tmp_path: Path) -> None:
    owner = str(Keypair().pubkey())
    arguments = ("--no-traders", "--ledger", str(tmp_path))

    def balance(localnet: Localnet) -> int:
        lamports: int = localnet.call("getBalance", owner, PROCESSED)["value"]
        return lamports

    with Localnet(*arguments) as localnet:
        localnet.call("requestAirdrop", owner, 10**9)
    with Localnet(*arguments) as localnet:
        assert balance(localnet) == 10**9
        localnet.signal(signal.SIGKILL)
        assert localnet.stop() == -signal.SIGKILL
    with Localnet(*arguments) as localnet:
        assert balance(localnet) == 0
    assert (tmp_path / "chain.snapshot").exists()
