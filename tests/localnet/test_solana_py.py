"""solana-py, as its users use it, against the localnet."""

from __future__ import annotations

from typing import Any

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Finalized
from solana.rpc.core import RPCException
from solana.rpc.models import TokenAccountOpts, TxOpts
from solana.rpc.websocket_api import SolanaWsClient
from solders.keypair import Keypair
from solders.message import MessageV0, MessageV1, TransactionConfig
from solders.pubkey import Pubkey
from solders.rpc.config import RpcTransactionLogsFilterMentions
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from solders.transaction_status import TransactionConfirmationStatus

from testing.localnet import Localnet

USDC = Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


async def funded(client: AsyncClient) -> Keypair:
    owner = Keypair()
    airdrop = await client.request_airdrop(owner.pubkey(), 5 * 10**9)
    await client.confirm_transaction(airdrop.value, Confirmed, sleep_seconds=0.02)
    return owner


async def test_an_airdrop_a_transfer_and_its_record(localnet: Localnet) -> None:
    async with AsyncClient(localnet.url, Confirmed) as client:
        payer, receiver = await funded(client), Keypair().pubkey()
        assert (await client.get_balance(payer.pubkey())).value == 5 * 10**9
        latest = (await client.get_latest_blockhash()).value
        payment = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=receiver, lamports=10**9))
        message = MessageV0.try_compile(payer.pubkey(), [payment], [], latest.blockhash)
        transaction = VersionedTransaction(message, [payer])
        assert (await client.get_fee_for_message(message)).value == 5_000
        simulated = await client.simulate_transaction(transaction)
        assert simulated.value.err is None
        signature = (await client.send_transaction(transaction, opts=TxOpts(preflight_commitment=Confirmed))).value
        await client.confirm_transaction(
            signature, Confirmed, sleep_seconds=0.02, last_valid_block_height=latest.last_valid_block_height
        )
        assert (await client.get_balance(receiver)).value == 10**9
        found = (
            await client.get_transaction(signature, commitment=Confirmed, max_supported_transaction_version=0)
        ).value
        assert found is not None
        meta = found.transaction.meta
        assert meta is not None
        assert meta.err is None
        assert meta.fee == 5_000
        assert meta.post_balances[1] - meta.pre_balances[1] == 10**9
        (status,) = (await client.get_signature_statuses([signature])).value
        assert status is not None
        assert status.confirmation_status != TransactionConfirmationStatus.Processed
        listed = (await client.get_signatures_for_address(receiver, commitment=Confirmed)).value
        assert [entry.signature for entry in listed] == [signature]


async def test_a_transaction_of_version_1_and_its_record(localnet: Localnet) -> None:
    async with AsyncClient(localnet.url, Finalized) as client:
        payer, receiver = await funded(client), Keypair().pubkey()
        latest = (await client.get_latest_blockhash()).value
        payment = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=receiver, lamports=10**9))
        config = TransactionConfig(
            priority_fee=7, compute_unit_limit=200_000, loaded_accounts_data_size_limit=64 * 1024 * 1024
        )
        message = MessageV1.try_compile(payer.pubkey(), [payment], latest.blockhash, config)
        transaction = VersionedTransaction(message, [payer])
        signature = (await client.send_transaction(transaction, opts=TxOpts(preflight_commitment=Finalized))).value
        await client.confirm_transaction(signature, Finalized, sleep_seconds=0.02)
        wire = (await client.get_transaction(signature, "base64", Finalized, max_supported_transaction_version=1)).value
        assert wire is not None
        assert wire.transaction.transaction == transaction
        assert wire.transaction.meta is not None
        assert wire.transaction.meta.fee == 5_007
        with pytest.raises(RPCException, match="maxSupportedTransactionVersion"):
            await client.get_transaction(signature, "base64", Finalized, max_supported_transaction_version=0)


async def test_subscriptions(localnet: Localnet) -> None:
    async with AsyncClient(localnet.url, Confirmed) as client, SolanaWsClient(localnet.ws_url) as websocket:
        payer, receiver = await funded(client), Keypair().pubkey()
        await websocket.account_subscribe(pubkey=receiver, commitment=Confirmed)
        await websocket.logs_subscribe(filter_=RpcTransactionLogsFilterMentions(receiver), commitment=Confirmed)
        await websocket.program_subscribe(program_id=SYSTEM_PROGRAM, commitment=Confirmed, encoding="base64")
        await websocket.root_subscribe()
        await websocket.slot_subscribe()
        await websocket.slots_updates_subscribe()
        latest = (await client.get_latest_blockhash()).value
        payment = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=receiver, lamports=10**9))
        message = MessageV0.try_compile(payer.pubkey(), [payment], [], latest.blockhash)
        await client.send_transaction(VersionedTransaction(message, [payer]))
        told: dict[str, Any] = {}
        kinds = (
            "AccountNotification",
            "LogsNotification",
            "ProgramNotification",
            "SlotNotification",
            "RootNotification",
        )
        awaited = set(kinds)
        while not (awaited <= told.keys() and any(name.startswith("SlotUpdate") for name in told)):
            notification = await websocket.recv()
            told.setdefault(type(notification).__name__, notification)
        assert told["AccountNotification"].result.value.lamports == 10**9
        assert told["LogsNotification"].result.value.err is None
        assert told["ProgramNotification"].result.value.account.owner == SYSTEM_PROGRAM
        assert told["SlotNotification"].result.parent == told["SlotNotification"].result.slot - 1


async def test_token_balances(localnet: Localnet) -> None:
    owner = Keypair().pubkey()
    localnet.call("localnet_fund", {"address": str(owner), "mint": str(USDC), "amount": 25_000_000})
    localnet.call("localnet_advanceSlots", {"slots": 3})
    async with AsyncClient(localnet.url, Confirmed) as client:
        (entry,) = (await client.get_token_accounts_by_owner(owner, TokenAccountOpts(mint=USDC))).value
        balance = (await client.get_token_account_balance(entry.pubkey)).value
        assert (balance.amount, balance.decimals, balance.ui_amount_string) == ("25000000", 6, "25")
        parsed = (await client.get_token_accounts_by_owner_json_parsed(owner, TokenAccountOpts(mint=USDC))).value
        assert f'"owner":"{owner}"' in parsed[0].account.to_json()
        accounts = (await client.get_multiple_accounts([USDC, entry.pubkey, Keypair().pubkey()])).value
        assert [None if one is None else len(one.data) for one in accounts] == [82, 165, None]
        assert int((await client.get_token_supply(USDC)).value.amount) > 25_000_000


async def test_the_clusters_figures(localnet: Localnet) -> None:
    async with AsyncClient(localnet.url, Confirmed) as client:
        assert await client.is_connected()
        info = (await client.get_epoch_info()).value
        assert info.epoch == info.absolute_slot // 432_000
        assert (await client.get_slot()).value > (await client.get_block_height()).value
        assert (await client.get_minimum_balance_for_rent_exemption(165)).value == 2_039_280
        assert (await client.get_version()).value.solana_core
        assert (await client.get_genesis_hash()).value


async def test_a_failed_preflight_is_a_typed_error_with_logs(localnet: Localnet) -> None:
    async with AsyncClient(localnet.url, Confirmed) as client:
        payer = await funded(client)
        latest = (await client.get_latest_blockhash()).value
        payment = transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=USDC, lamports=10**18))
        message = MessageV0.try_compile(payer.pubkey(), [payment], [], latest.blockhash)
        with pytest.raises(RPCException) as refused:
            await client.send_transaction(VersionedTransaction(message, [payer]))
        failure = refused.value.args[0]
        assert "custom program error: 0x1" in failure.message
        assert any("insufficient lamports" in line for line in failure.data.logs)
