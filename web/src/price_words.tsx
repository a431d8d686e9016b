/** Prices in words: which way they hold, what they are the other way round, how far the market is from them. */

import type { JSX } from "preact";
import { type Decimal, toText } from "./decimal";
import { percent, price as priceText } from "./format";
import { nameOf } from "./tokens";
import { distance, isReached, type Leg, turned } from "./waiting_prices";
import { must } from "./decimal";

export interface Pair {
  tokenIn: string;
  tokenOut: string;
}

const SIGNS = { limit: ["≥", "≤"], stop: ["≤", "≥"] } as const;

/** "1 SOL ≥ 152.3 USDC": a limit order waits for so much or more, a stop for so much or less. */
export function Condition({ leg: { kind, price }, pair }: { leg: Leg; pair: Pair }): JSX.Element {
  const other = turned(must(price));
  return (
    <span
      class="condition"
      title={
        other
          ? `Exactly ${price}. The other way round: 1 ${nameOf(pair.tokenOut)} ${SIGNS[kind][1]} ${priceText(toText(other))} ${nameOf(pair.tokenIn)}`
          : undefined
      }
    >
      1 {nameOf(pair.tokenIn)} {SIGNS[kind][0]} {priceText(price)} {nameOf(pair.tokenOut)}
    </span>
  );
}

/** The same condition, seen from the other token. */
export function TurnedCondition({ leg: { kind, price }, pair }: { leg: Leg; pair: Pair }): JSX.Element | null {
  const other = turned(must(price));
  return (
    other && (
      <span class="condition">
        1 {nameOf(pair.tokenOut)} {SIGNS[kind][1]} {priceText(toText(other))} {nameOf(pair.tokenIn)}
      </span>
    )
  );
}

/** How far the market is from the price: "5.5 % above the market". */
export function distanceWords(leg: Leg, market: Decimal): string {
  const share = distance(must(leg.price), market);
  if (!share) return "";
  if (share.digits === 0n) return "where the market is";
  const size = percent(toText(share).replace("-", ""));
  return `${size} ${share.digits > 0n ? "above" : "below"} the market`;
}

/** The same for a table: "+5.5 %"; "reached" where the market is there. */
export function shortDistance(leg: Leg, market: Decimal): string {
  if (isReached(leg, market)) return "reached";
  const share = distance(must(leg.price), market);
  return share ? `${share.digits > 0n ? "+" : ""}${percent(toText(share))}` : "–";
}
