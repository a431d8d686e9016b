// Meteora DAMM v1 through @meteora-ag/dynamic-amm-sdk: its decoders, its calculateSwapQuote.

import { createRequire } from "node:module";

import { AccountLayout, MintLayout } from "@solana/spl-token";
import { Connection, PublicKey } from "@solana/web3.js";
import BN from "bn.js";

import { required } from "./accounts.mjs";

const require = createRequire(import.meta.url);

// Loaded when it is first asked: the other SDKs answer where this one is not installed.
let loaded;
function sdk() {
  if (!loaded) {
    const { calculateSwapQuote, createProgram } = require("@meteora-ag/dynamic-amm-sdk/dist/cjs/src/amm/utils");
    // Asks the network nothing: only its coders are used.
    const { ammProgram, vaultProgram } = createProgram(new Connection("http://127.0.0.1:1"));
    loaded = { calculateSwapQuote, amm: ammProgram.coder.accounts, vault: vaultProgram.coder.accounts };
  }
  return loaded;
}

/** What calculateSwapQuote takes, as `AmmImpl.updateState` of the SDK puts it together, which reads over the network. */
export function decodePool(address, accounts, clock) {
  const poolState = sdk().amm.decode("pool", required(accounts, address).data);
  const amount = (account) => new BN(AccountLayout.decode(required(accounts, account).data).amount.toString());
  const supply = (mint) => new BN(MintLayout.decode(required(accounts, mint).data).supply.toString());
  const vaultA = sdk().vault.decode("vault", required(accounts, poolState.aVault).data);
  const vaultB = sdk().vault.decode("vault", required(accounts, poolState.bVault).data);
  const depegAccounts = new Map();
  const stake = accounts.get(poolState.stake.toString());
  if (stake) depegAccounts.set(poolState.stake.toBase58(), stake);
  return {
    poolState,
    vaultA,
    vaultB,
    poolVaultALp: amount(poolState.aVaultLp),
    poolVaultBLp: amount(poolState.bVaultLp),
    vaultALpSupply: supply(vaultA.lpMint),
    vaultBLpSupply: supply(vaultB.lpMint),
    vaultAReserve: amount(vaultA.tokenVault),
    vaultBReserve: amount(vaultB.tokenVault),
    currentTime: clock.unixTimestamp,
    currentSlot: clock.slot,
    depegAccounts,
  };
}

export function swap(pool, mintIn, amount) {
  return sdk().calculateSwapQuote(mintIn, amount, pool);
}

/** Each swap's quote; `error` where the SDK throws. */
export async function quotes({ pool: address, clock, swaps }, accounts) {
  const pool = decodePool(address, accounts, clock);
  return swaps.map(({ mintIn, amountIn }) => {
    try {
      return { amountOut: swap(pool, new PublicKey(mintIn), new BN(amountIn)).amountOut.toString() };
    } catch (error) {
      return { error: error.message };
    }
  });
}

/** The quote to be timed, from decoded accounts and from their bytes. */
export async function timed({ pool: address, clock, swaps: [{ mintIn, amountIn }] }, accounts) {
  const pool = decodePool(address, accounts, clock);
  const [mint, amount] = [new PublicKey(mintIn), new BN(amountIn)];
  return {
    amountOut: swap(pool, mint, amount).amountOut,
    decoded: () => swap(pool, mint, amount),
    fromAccounts: () => swap(decodePool(address, accounts, clock), mint, amount),
  };
}
