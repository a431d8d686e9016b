// Meteora DAMM v2 through @meteora-ag/cp-amm-sdk: its account decoder, its exact-in quote.

import damm from "@meteora-ag/cp-amm-sdk";
import { unpackMint } from "@solana/spl-token";
import BN from "bn.js";

import { OfflineConnection, required } from "./accounts.mjs";

const { ActivationType, CpAmm, swapQuoteExactInput } = damm;
const NO_SLIPPAGE = 0;
const NO_REFERRAL = false;
const { coder } = new CpAmm(new OfflineConnection(new Map()))._program;

function decodePool(address, accounts) {
  return coder.accounts.decode("pool", required(accounts, address).data);
}

/** What the pool counts time in: slots or seconds. */
function pointOf(pool, clock) {
  return new BN(pool.activationType === ActivationType.Timestamp ? clock.unixTimestamp : clock.slot);
}

/** Each swap's quote; `error` is the name of the SDK's where it has none. */
export async function quotes({ pool: address, clock, swaps }, accounts) {
  const pool = decodePool(address, accounts);
  const point = pointOf(pool, clock);
  const tokens = [pool.tokenAMint, pool.tokenBMint].map((mint) => {
    const account = required(accounts, mint);
    return { mint: unpackMint(mint, account, account.owner), currentEpoch: clock.epoch };
  });
  return swaps.map(({ mintIn, amountIn }) => {
    const aToB = mintIn === pool.tokenAMint.toString();
    const [tokenIn, tokenOut] = aToB ? tokens : [tokens[1], tokens[0]];
    try {
      const quote = swapQuoteExactInput(
        pool,
        point,
        new BN(amountIn),
        NO_SLIPPAGE,
        aToB,
        NO_REFERRAL,
        tokens[0].mint.decimals,
        tokens[1].mint.decimals,
        tokenIn,
        tokenOut,
      );
      return {
        amountOut: quote.minimumAmountOut.toString(),
        vaultOut: quote.outputAmount.toString(),
        protocolFee: quote.protocolFee.toString(),
        compoundingFee: quote.compoundingFee.toString(),
        claimingFee: quote.claimingFee.toString(),
        sqrtPrice: quote.nextSqrtPrice.toString(),
      };
    } catch (error) {
      return { error: error.message };
    }
  });
}

/** The quote to be timed, from decoded accounts and from their bytes. Its mints, which hardly ever change, are kept. */
export async function timed({ pool: address, clock, swaps: [{ mintIn, amountIn }] }, accounts) {
  const loaded = decodePool(address, accounts);
  const amount = new BN(amountIn);
  const aToB = mintIn === loaded.tokenAMint.toString();
  const [decimalsA, decimalsB] = [loaded.tokenAMint, loaded.tokenBMint].map((mint) => {
    const account = required(accounts, mint);
    return unpackMint(mint, account, account.owner).decimals;
  });
  const quote = (pool) =>
    swapQuoteExactInput(pool, pointOf(pool, clock), amount, NO_SLIPPAGE, aToB, NO_REFERRAL, decimalsA, decimalsB);
  return {
    amountOut: quote(loaded).outputAmount,
    decoded: () => quote(loaded),
    fromAccounts: () => quote(decodePool(address, accounts)),
  };
}
