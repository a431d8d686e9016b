"""`pools add` and what its tokens' issuers kept: a risk is named before such a pool is traded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from solders.keypair import Keypair

from chalicelib.aws.dynamodb.pool_table import PoolTable
from chalicelib.solana.accounts import Account
from chalicelib.solana.mint_risks import MintRisk
from chalicelib.solana.tokens import ExtensionType
from infra.localnet.startup import Options
from operations.errors import UnfitPool
from operations.pools import PoolAdministration
from tests.integration.chain_trading import MINTS, Engine, InProcessChain, genesis_pools
from tests.integration.cloud import Cloud
from tests.localnet.token_2022 import ISSUER, with_extension

CONFIRMED_AFTER = 3  # slots
NOW = 1_760_000_000_000
WALLET = Keypair()
TOKEN = next(symbol for symbol, mint in MINTS.items() if mint.transfer_fee is not None or mint.extensions)
POOL = next(entries[0].address for pair, entries in genesis_pools().items() if TOKEN in pair)


@pytest.fixture
def chain(tmp_path: Path) -> InProcessChain:
    return InProcessChain(Options(with_traders=False, funded=(WALLET.pubkey(),)), NOW)


@pytest.fixture
def pools(chain: InProcessChain, cloud: Cloud) -> PoolAdministration:
    return PoolAdministration(cloud.dynamodb, cloud.outputs["PoolsTable"], Engine(chain, WALLET, []).rpc)


def reissue(chain: InProcessChain, change: Callable[[Account], Account]) -> None:
    """Put the token's mint on the chain as `change` makes it."""
    ledger, address = chain.chain.node.ledger, MINTS[TOKEN].address
    account = ledger.current(address)
    assert account is not None
    ledger.set_account(address, change(account))
    for _ in range(CONFIRMED_AFTER):
        chain.wait(0)


def freezable(account: Account) -> Account:
    return replace(account, data=account.data[:46] + b"\1\0\0\0" + ISSUER + account.data[82:])


def called(symbol: str) -> Callable[[Account], Account]:
    """The mint with another symbol of the same length in its metadata."""
    old, new = TOKEN.encode(), symbol.encode()
    assert len(old) == len(new)
    sized = len(old).to_bytes(4, "little")
    return lambda account: replace(account, data=account.data.replace(sized + old, sized + new))


def test_a_pool_of_tokens_over_which_nobody_has_a_power_is_added_without_a_word(
    pools: PoolAdministration, cloud: Cloud
) -> None:
    added = pools.add(POOL)
    assert (set(added.risks.values()), added.warnings) == ({()}, ())
    assert [one.address for one in PoolTable(cloud.dynamodb, cloud.outputs["PoolsTable"]).entries()] == [POOL]


@pytest.mark.parametrize(
    ("change", "risk"),
    [
        (with_extension(ExtensionType.PERMANENT_DELEGATE, ISSUER, 1), MintRisk.PERMANENT_DELEGATE),
        (with_extension(ExtensionType.MINT_CLOSE_AUTHORITY, ISSUER, 1), MintRisk.MINT_CLOSE_AUTHORITY),
        (with_extension(ExtensionType.PAUSABLE, ISSUER + b"\0", 1), MintRisk.PAUSABLE),
        (with_extension(ExtensionType.TRANSFER_HOOK, ISSUER + bytes(32), 1), MintRisk.CHANGEABLE_HOOK),
        (freezable, MintRisk.FREEZE_AUTHORITY),
    ],
    ids=[risk for risk in MintRisk if risk is not MintRisk.CHANGEABLE_FEE],
)
def test_a_pool_is_added_only_where_the_power_over_its_token_is_named(
    chain: InProcessChain,
    pools: PoolAdministration,
    cloud: Cloud,
    change: Callable[[Account], Account],
    risk: MintRisk,
) -> None:
    reissue(chain, change)
    others = [one for one in MintRisk if one is not risk]
    for accepted in ([], others):
        with pytest.raises(UnfitPool, match=f"--accept-risk {risk}"):
            pools.add(POOL, accepted)
    assert PoolTable(cloud.dynamodb, cloud.outputs["PoolsTable"]).entries() == []
    assert pools.add(POOL, [risk]).risks[str(MINTS[TOKEN].address)] == (risk,)


def test_a_fee_that_somebody_can_change_is_named_too(chain: InProcessChain, pools: PoolAdministration) -> None:
    """The genesis token that takes a fee has no authority over it: give it one."""
    header = ExtensionType.TRANSFER_FEE_CONFIG.to_bytes(2, "little") + (108).to_bytes(2, "little")

    def ruled(account: Account) -> Account:
        start = account.data.find(header)
        if start < 0:
            return with_extension(ExtensionType.TRANSFER_FEE_CONFIG, ISSUER + bytes(76), 1)(account)
        start += len(header)
        return replace(account, data=account.data[:start] + ISSUER + account.data[start + 32 :])

    reissue(chain, ruled)
    with pytest.raises(UnfitPool, match="--accept-risk changeable-fee"):
        pools.add(POOL)


def test_a_token_that_calls_itself_nearly_like_another_is_pointed_out(
    chain: InProcessChain, pools: PoolAdministration
) -> None:
    like_usdc = ("U5DC" + " " * 10)[: len(TOKEN)]
    reissue(chain, called(like_usdc))
    (warning,) = pools.add(POOL).warnings
    assert "looks like USDC" in warning
    assert str(MINTS["USDC"].address) in warning


def test_a_token_that_takes_the_symbol_of_another_traded_one_is_pointed_out(
    chain: InProcessChain, pools: PoolAdministration
) -> None:
    reissue(chain, called(("JUP" + " " * 10)[: len(TOKEN)]))
    assert any("looks like JUP" in warning for warning in pools.add(POOL).warnings)
