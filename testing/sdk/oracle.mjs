// Answers quotes of the official SDKs: one JSON object a line in, one out.
//
// Request: {venue: "raydium" | "meteora", action: "quote" | "time", pool, accounts: {address: {owner, lamports, data} |
// null}, clock: {slot, epoch, unixTimestamp}, swaps: [{mintIn, amountIn}]}; data is base64, amounts are strings. "time"
// takes the first of `swaps`, `milliseconds` to measure for and, at Meteora, the addresses of the bin `arrays` to use.
// Answer: {quotes: [...]}, {amountOut, decoded, fromAccounts} in nanoseconds, or {failure} for a request that crashed.

import { createInterface } from "node:readline";

import { decodeAccounts } from "./accounts.mjs";
import * as meteora from "./meteora.mjs";
import * as raydium from "./raydium.mjs";
import { nanosecondsPerCall } from "./timing.mjs";

const VENUES = { meteora, raydium };

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
