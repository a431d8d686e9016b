// Raydium CLMM through @raydium-io/raydium-sdk-v2: its layouts, its swap simulator.

import raydium from "@raydium-io/raydium-sdk-v2";
import BN from "bn.js";
import { unpackMint } from "@solana/spl-token";
import { PublicKey } from "@solana/web3.js";

import { required } from "./accounts.mjs";
import { afterTransferFee } from "./raydium.mjs";

const {
  ClmmConfigLayout,
  PoolInfoLayout,
  TickArrayBitmapExtensionLayout,
  TickArrayLayout,
  getPdaExBitmapAccount,
  swapInternal,
} = raydium;
const TICK_ARRAY_LENGTH = 10240;

/** The pool with those of `arrays` that are tick arrays, as the SDK's own fetching puts it together. */
export function decodePool(address, accounts, arrays) {
  const poolId = new PublicKey(address);
  const account = required(accounts, address);
  const poolInfo = PoolInfoLayout.decode(account.data);
  const extension = accounts.get(getPdaExBitmapAccount(account.owner, poolId).publicKey.toString());
  return {
    programId: account.owner,
    poolId,
    poolInfo,
    configInfo: ClmmConfigLayout.decode(required(accounts, poolInfo.configId).data),
    tickarrayBitmapExtension: extension && TickArrayBitmapExtensionLayout.decode(extension.data),
    arrays: arrays
      .filter((array) => accounts.get(array)?.data.length === TICK_ARRAY_LENGTH)
      .map((array) => ({
        address: new PublicKey(array),
        value: TickArrayLayout.decode(required(accounts, array).data),
      })),
  };
}

/** The simulator's result for `amount` arriving in the vault. It changes the dynamic fee and the orders it is given. */
export function swap(pool, zeroForOne, amount, timestamp) {
  const { tickSpacing, tickCurrent } = pool.poolInfo;
  const width = tickSpacing * 60;
  const current = Math.floor(tickCurrent / width) * width;
  const ahead = pool.arrays.filter(({ value }) =>
    zeroForOne ? value.startTickIndex <= current : value.startTickIndex >= current,
  );
  ahead.sort((a, b) => (a.value.startTickIndex - b.value.startTickIndex) * (zeroForOne ? -1 : 1));
  return swapInternal({
    ...pool,
    tickArrays: ahead,
    amountSpecified: amount,
    sqrtPriceLimitX64: new BN(0),
    zeroForOne,
    isBaseInput: true,
    blockTimestamp: timestamp,
    includeExtraTickArrays: false,
  });
}

/** Each swap's quote; `error` where the SDK throws. Transfer fees, which this SDK leaves to its caller, are spl-token's. */
export async function quotes({ pool: address, clock, swaps }, accounts) {
  const { poolInfo } = decodePool(address, accounts, []);
  const [mintA, mintB] = [poolInfo.mintA, poolInfo.mintB].map((mint) => {
    const account = required(accounts, mint);
    return unpackMint(mint, account, account.owner);
  });
  return swaps.map(({ mintIn, amountIn }) => {
    const pool = decodePool(address, accounts, [...accounts.keys()]);
    const zeroForOne = mintIn === poolInfo.mintA.toString();
    const [mintFrom, mintTo] = zeroForOne ? [mintA, mintB] : [mintB, mintA];
    const received = afterTransferFee(new BN(amountIn), mintFrom, clock);
    try {
      const result = swap(pool, zeroForOne, received, clock.unixTimestamp);
      return {
        allTrade: result.allTrade,
        vaultOut: result.amountCalculated.toString(),
        amountOut: afterTransferFee(result.amountCalculated, mintTo, clock).toString(),
        fee: result.feeAmount.toString(),
        sqrtPrice: result.sqrtPriceX64.toString(),
        tick: result.tickCurrent,
        liquidity: result.liquidity.toString(),
      };
    } catch (error) {
      return { error: error.message };
    }
  });
}

/** The quote to be timed, from decoded accounts and from their bytes. */
export async function timed({ pool: address, clock, swaps: [{ mintIn, amountIn }], arrays }, accounts) {
  const pool = decodePool(address, accounts, arrays);
  const zeroForOne = mintIn === pool.poolInfo.mintA.toString();
  const amount = new BN(amountIn);
  const timestamp = clock.unixTimestamp;
  return {
    amountOut: swap(pool, zeroForOne, amount, timestamp).amountCalculated,
    decoded: () => swap(pool, zeroForOne, amount, timestamp),
    fromAccounts: () => swap(decodePool(address, accounts, arrays), zeroForOne, amount, timestamp),
  };
}
