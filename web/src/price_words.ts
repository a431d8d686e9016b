/** Prices in words, pure: which way they hold, what they are the other way round, how far the market is from them. */

import { type Decimal, must, toText } from "./decimal";
import { percent, price as priceText } from "./format";
import { distance, isReached, type Leg, turned } from "./waiting_prices";

/** Two tokens by their names. */
export interface Pair {
  tokenIn: string;
  tokenOut: string;
}

/** "1 SOL ≥ 152.3 USDC": a limit order waits for so much or more, a stop for so much or less. */
export function condition({ kind, price }: Leg, { tokenIn, tokenOut }: Pair): string {
  return `1 ${tokenIn} ${kind === "limit" ? "≥" : "≤"} ${priceText(price)} ${tokenOut}`;
}

/** The same condition seen from the other token: "1 USDC ≤ 0.0065660 SOL"; nothing of a price of zero. */
export function turnedCondition({ kind, price }: Leg, { tokenIn, tokenOut }: Pair): string {
  const other = turned(must(price));
  const back: Leg | null = other && { kind: kind === "limit" ? "stop" : "limit", price: toText(other) };
  return back ? condition(back, { tokenIn: tokenOut, tokenOut: tokenIn }) : "";
}

/** How far the market is from the price: "5.5 % above the market". */
export function distanceWords({ price }: Leg, market: Decimal): string {
  const share = toText(distance(must(price), market) ?? market);
  if (share === "0") return "where the market is";
  return `${percent(share.replace("-", ""))} ${share.startsWith("-") ? "below" : "above"} the market`;
}

/** The same for a table: "+5.5 %", and "reached" where the market is there. */
export function shortDistance(leg: Leg, market: Decimal): string {
  if (isReached(leg, market)) return "reached";
  const share = toText(distance(must(leg.price), market) ?? market);
  return (share.startsWith("-") ? "" : "+") + percent(share);
}
