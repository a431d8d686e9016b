// Answers quotes of the official SDKs: one JSON object a line in, one out.
//
// Request: {venue: a name of VENUES, action: "quote" | "time", pool, accounts: {address: {owner, lamports, data} | null},
// clock: {slot, epoch, unixTimestamp}, swaps: [{mintIn, amountIn}]}; data is base64, amounts are strings. "time" takes the
// first of `swaps`, `milliseconds` to measure for and, at Meteora DLMM, the addresses of the bin `arrays` to use.
// Answer: {quotes: [...]}, {amountOut, decoded, fromAccounts} in nanoseconds, or {failure} for a request that crashed.

import { createInterface } from "node:readline";

import { decodeAccounts } from "./accounts.mjs";
import * as meteora from "./meteora.mjs";
import * as meteoraDammV2 from "./meteora_damm_v2.mjs";
import * as meteoraDammV1 from "./meteora_damm_v1.mjs";
import * as raydium from "./raydium.mjs";
import * as raydiumAmmV4 from "./raydium_amm_v4.mjs";
import * as raydiumClmm from "./raydium_clmm.mjs";
import { nanosecondsPerCall } from "./timing.mjs";

const VENUES = {
  meteora,
  meteora_damm_v1: meteoraDammV1,
  meteora_damm_v2: meteoraDammV2,
  raydium,
  raydium_amm_v4: raydiumAmmV4,
  raydium_clmm: raydiumClmm,
};

async function answer(request) {
  const venue = VENUES[request.venue];
  const accounts = decodeAccounts(request.accounts);
  if (request.action === "quote") return { quotes: await venue.quotes(request, accounts) };
  const { amountOut, decoded, fromAccounts } = await venue.timed(request, accounts);
  return {
    amountOut: amountOut.toString(),
    decoded: nanosecondsPerCall(decoded, request.milliseconds),
    fromAccounts: nanosecondsPerCall(fromAccounts, request.milliseconds),
  };
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let answered;
  try {
    answered = await answer(JSON.parse(line));
  } catch (error) {
    answered = { failure: error.stack };
  }
  process.stdout.write(`${JSON.stringify(answered)}\n`);
}
