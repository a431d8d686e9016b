// Raydium AMM v4 through @raydium-io/raydium-sdk-v2: its layout, its computeAmountOut.

import raydium from "@raydium-io/raydium-sdk-v2";
import { AccountLayout, MintLayout } from "@solana/spl-token";
import { Connection } from "@solana/web3.js";
import BN from "bn.js";

import { required } from "./accounts.mjs";

const { Raydium, liquidityStateV4Layout } = raydium;
const AMM_V4 = 4;
// Asks the network nothing: only its arithmetic is used.
const { liquidity } = new Raydium({ connection: new Connection("http://127.0.0.1:1"), cluster: "mainnet" });

/** The pool as `LiquidityModule.getRpcPoolInfos` of the SDK puts it together, which reads over the network. */
export function decodePool(address, accounts) {
  const state = liquidityStateV4Layout.decode(required(accounts, address).data);
  const held = (vault) => new BN(AccountLayout.decode(required(accounts, vault).data).amount.toString());
  const mint = (mintAddress) => ({
    address: mintAddress.toString(),
    decimals: MintLayout.decode(required(accounts, mintAddress).data).decimals,
  });
  return {
    version: AMM_V4,
    mintA: mint(state.baseMint),
    mintB: mint(state.quoteMint),
    baseReserve: held(state.baseVault).sub(state.baseNeedTakePnl),
    quoteReserve: held(state.quoteVault).sub(state.quoteNeedTakePnl),
  };
}

/** The SDK's answer for `amount`. It takes 25 of 10000 whatever the pool's own fee is. */
export function swap(poolInfo, mintIn, amount) {
  const mintOut = mintIn === poolInfo.mintA.address ? poolInfo.mintB.address : poolInfo.mintA.address;
  return liquidity.computeAmountOut({ poolInfo, amountIn: amount, mintIn, mintOut, slippage: 0 });
}

/** Each swap's quote; `error` where the SDK throws. */
export async function quotes({ pool: address, swaps }, accounts) {
  const pool = decodePool(address, accounts);
  return swaps.map(({ mintIn, amountIn }) => {
    try {
      const { amountOut, fee } = swap(pool, mintIn, new BN(amountIn));
      return { amountOut: amountOut.toString(), fee: fee.toString() };
    } catch (error) {
      return { error: error.message };
    }
  });
}

/** The quote to be timed, from decoded accounts and from their bytes. */
export async function timed({ pool: address, swaps: [{ mintIn, amountIn }] }, accounts) {
  const pool = decodePool(address, accounts);
  const amount = new BN(amountIn);
  return {
    amountOut: swap(pool, mintIn, amount).amountOut,
    decoded: () => swap(pool, mintIn, amount),
    fromAccounts: () => swap(decodePool(address, accounts), mintIn, amount),
  };
}
