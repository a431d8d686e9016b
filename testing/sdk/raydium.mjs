// Raydium CPMM through @raydium-io/raydium-sdk-v2: its layouts, its CurveCalculator.

import raydium from "@raydium-io/raydium-sdk-v2";
import { AccountLayout, calculateEpochFee, getTransferFeeConfig, unpackMint } from "@solana/spl-token";
import BN from "bn.js";

import { required } from "./accounts.mjs";

const { CpmmConfigInfoLayout, CpmmPoolInfoLayout, CurveCalculator, FeeOn } = raydium;
const NOTHING = new BN(0);

/** The pool as `Cpmm.getRpcPoolInfos` of the SDK puts it together, which reads over the network. */
export function decodePool(address, accounts) {
  const state = CpmmPoolInfoLayout.decode(required(accounts, address).data);
  const config = CpmmConfigInfoLayout.decode(required(accounts, state.configId).data);
  const amountA = new BN(AccountLayout.decode(required(accounts, state.vaultA).data).amount.toString());
  const amountB = new BN(AccountLayout.decode(required(accounts, state.vaultB).data).amount.toString());
  return {
    state,
    config,
    creatorFeeRate: state.enableCreatorFee ? config.creatorFeeRate : NOTHING,
    reserveA: amountA.sub(state.protocolFeesMintA).sub(state.fundFeesMintA).sub(state.creatorFeesMintA),
    reserveB: amountB.sub(state.protocolFeesMintB).sub(state.fundFeesMintB).sub(state.creatorFeesMintB),
  };
}

/** The curve's result for `amount` arriving in the vault, with `aToB` the direction. */
export function swap(pool, aToB, amount) {
  const { state, config } = pool;
  // The SDK's own computeSwapAmount forgets the direction here, and that the fee may be switched off.
  const feeOnInputAlone = aToB ? FeeOn.OnlyTokenA : FeeOn.OnlyTokenB;
  const creatorFeeOnInput = state.feeOn === FeeOn.BothToken || state.feeOn === feeOnInputAlone;
  return CurveCalculator.swapBaseInput(
    amount,
    aToB ? pool.reserveA : pool.reserveB,
    aToB ? pool.reserveB : pool.reserveA,
    config.tradeFeeRate,
    pool.creatorFeeRate,
    config.protocolFeeRate,
    config.fundFeeRate,
    creatorFeeOnInput,
  );
}

/** Each swap's quote; `error` where the SDK throws. Transfer fees, which this SDK leaves to its caller, are spl-token's. */
export async function quotes({ pool: address, clock, swaps }, accounts) {
  const pool = decodePool(address, accounts);
  const mints = [pool.state.mintA, pool.state.mintB].map((mint) => {
    const account = required(accounts, mint);
    return unpackMint(mint, account, account.owner);
  });
  return swaps.map(({ mintIn, amountIn }) => {
    const aToB = mintIn === pool.state.mintA.toString();
    const [mintFrom, mintTo] = aToB ? mints : [mints[1], mints[0]];
    const received = afterTransferFee(new BN(amountIn), mintFrom, clock);
    let result;
    try {
      result = swap(pool, aToB, received);
    } catch (error) {
      return { error: error.message };
    }
    return {
      amountOut: afterTransferFee(result.outputAmount, mintTo, clock).toString(),
      tradeFee: result.tradeFee.toString(),
      protocolFee: result.protocolFee.toString(),
      fundFee: result.fundFee.toString(),
      creatorFee: result.creatorFee.toString(),
    };
  });
}

/** What arrives of a transfer of `amount`. */
export function afterTransferFee(amount, mint, clock) {
  const config = getTransferFeeConfig(mint);
  if (!config || amount.lten(0)) return amount;
  const fee = calculateEpochFee(config, BigInt(clock.epoch), BigInt(amount.toString()));
  return amount.sub(new BN(fee.toString()));
}

/** The quote to be timed, from decoded accounts and from their bytes. */
export async function timed({ pool: address, swaps: [{ mintIn, amountIn }] }, accounts) {
  const pool = decodePool(address, accounts);
  const aToB = mintIn === pool.state.mintA.toString();
  const amount = new BN(amountIn);
  return {
    amountOut: swap(pool, aToB, amount).outputAmount,
    decoded: () => swap(pool, aToB, amount),
    fromAccounts: () => swap(decodePool(address, accounts), aToB, amount),
  };
}
