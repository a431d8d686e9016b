// Meteora DLMM through @meteora-ag/dlmm: its own discovery of bin arrays, its swapQuote.

import { createRequire } from "node:module";

import { PublicKey } from "@solana/web3.js";
import BN from "bn.js";

import { OfflineConnection, required } from "./accounts.mjs";

// The package's ES module can't be imported by Node: it imports a folder.
const DLMM = createRequire(import.meta.url)("@meteora-ag/dlmm");
const CLOCK_SYSVAR = "SysvarC1ock11111111111111111111111111111111";
const NO_SLIPPAGE = new BN(0);
const EVERY_ARRAY = 2 ** 14;

/** Each swap's quote; `error` is the name of the SDK's where it has none. */
export async function quotes({ pool: address, clock, swaps }, accounts) {
  const pool = await load(address, accounts);
  const arrays = new Map();
  for (const swapForY of [true, false]) arrays.set(swapForY, await pool.getBinArrayForSwap(swapForY, EVERY_ARRAY));
  return at(clock, () =>
    swaps.map(({ mintIn, amountIn }) => {
      const swapForY = mintIn === pool.lbPair.tokenXMint.toString();
      try {
        const quote = pool.swapQuote(new BN(amountIn), swapForY, NO_SLIPPAGE, arrays.get(swapForY), false);
        return {
          amountOut: quote.outAmount.toString(),
          fee: quote.fee.add(quote.protocolFee).toString(),
          protocolFee: quote.protocolFee.toString(),
          binArrays: quote.binArraysPubkey.map(String),
        };
      } catch (error) {
        if (!(error instanceof DLMM.DlmmSdkError)) throw error;
        return { error: error.name };
      }
    }),
  );
}

/** The quote to be timed, from decoded accounts and from their bytes: of bin arrays, `arrays` in swap order alone. */
export async function timed({ pool: address, clock, arrays, swaps: [{ mintIn, amountIn }] }, accounts) {
  const loaded = await load(address, accounts);
  const { program, pubkey, tokenX, tokenY, rewards } = loaded;
  const amount = new BN(amountIn);
  const swapForY = mintIn === loaded.lbPair.tokenXMint.toString();
  const decodedArrays = () =>
    arrays.map((array) => ({
      publicKey: new PublicKey(array),
      account: DLMM.decodeAccount(program, "binArray", required(accounts, array).data),
    }));
  const [extensionAddress] = DLMM.deriveBinArrayBitmapExtension(pubkey, program.programId);
  const extensionAccount = accounts.get(extensionAddress.toString());
  // What DLMM.create does once it has read all: the mints, which hardly ever change, are kept.
  const decodedPool = () => {
    const lbPair = DLMM.decodeAccount(program, "lbPair", required(accounts, address).data);
    const extension = extensionAccount && {
      publicKey: extensionAddress,
      account: DLMM.decodeAccount(program, "binArrayBitmapExtension", extensionAccount.data),
    };
    return new DLMM(pubkey, program, lbPair, extension, tokenX, tokenY, rewards, loaded.clock);
  };
  const quote = (pool, binArrays) => at(clock, () => pool.swapQuote(amount, swapForY, NO_SLIPPAGE, binArrays, false));
  const [pool, binArrays] = [decodedPool(), decodedArrays()];
  return {
    amountOut: quote(pool, binArrays).outAmount,
    decoded: () => quote(pool, binArrays),
    fromAccounts: () => quote(decodedPool(), decodedArrays()),
  };
}

function load(address, accounts) {
  required(accounts, CLOCK_SYSVAR);
  return DLMM.create(new OfflineConnection(accounts), new PublicKey(address));
}

/** Runs `action` with the machine's clock, which the SDK takes for the chain's, at the chain's time. */
function at(clock, action) {
  const now = Date.now;
  Date.now = () => clock.unixTimestamp * 1000;
  try {
    return action();
  } finally {
    Date.now = now;
  }
}
