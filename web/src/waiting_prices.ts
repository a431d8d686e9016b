/** What an order's prices come to, and how far the market is from them. Pure; what decides is exact. */

import {
  basisPoints,
  compare,
  cut,
  type Decimal,
  minus,
  must,
  plus,
  quotient,
  shift,
  significant,
  times,
} from "./decimal";
import type { Order } from "./wire";

const ONE = must("1");
// More digits than any price is shown with.
const PLACES = 30;
const SHOWN_DIGITS = 8;

/** A price at which an order that waits is sold. */
export interface Leg {
  kind: "limit" | "stop";
  price: string;
}

/** The prices that the order waits for, its limit first; a trailing stop's is where it is now. */
export function legsOf({ limitPrice, stopPrice }: Pick<Order, "limitPrice" | "stopPrice">): Leg[] {
  const legs: Leg[] = [];
  if (limitPrice !== undefined) legs.push({ kind: "limit", price: limitPrice });
  if (stopPrice !== undefined) legs.push({ kind: "stop", price: stopPrice });
  return legs;
}

/** The least that `amount` brings at a limit price, in whole tokens, rounded up to a base unit. */
export function leastAt(amount: Decimal, price: Decimal, decimals: number): Decimal {
  const worth = times(amount, price);
  const whole = cut(worth, decimals);
  return compare(whole, worth) < 0 ? plus(whole, { digits: 1n, scale: decimals }) : whole;
}

/** The most that `amount` brings where a stop price is reached, in whole tokens, rounded down to a base unit. */
export function mostAt(amount: Decimal, price: Decimal, decimals: number): Decimal {
  return cut(times(amount, price), decimals);
}

/** How far the market's price has to go to be at `price`, as a fraction of it to six decimals; null over zero. */
export function distance(price: Decimal, market: Decimal): Decimal | null {
  const share = basisPoints(price, market);
  return share && shift(share, -4);
}

/** Whether the market pays enough for a limit, or so little that a stop is reached. */
export function isReached({ kind, price }: Leg, market: Decimal): boolean {
  const difference = compare(market, must(price));
  return kind === "limit" ? difference >= 0 : difference <= 0;
}

/** Where a stop is that trails `best` by a fraction. */
export function trailingStop(best: Decimal, fraction: Decimal): Decimal {
  return times(best, minus(ONE, fraction));
}

/** The best price that a trailing stop has seen, as far as its own place tells it: to eight digits. */
export function bestSeen(stopPrice: string, trailing: string): Decimal {
  return asShown(quotient(must(stopPrice), minus(ONE, must(trailing)), PLACES));
}

/** The best price from which a trailing stop of the order would follow on, by a change of it now. */
export function bestOf({ stopPrice, trailing }: Pick<Order, "stopPrice" | "trailing">, market: Decimal): Decimal {
  const seen = stopPrice !== undefined && trailing !== undefined ? bestSeen(stopPrice, trailing) : market;
  return compare(seen, market) > 0 ? seen : market;
}

/** The price seen from the other token; null of zero. */
export function turned(price: Decimal): Decimal | null {
  return price.digits === 0n ? null : asShown(quotient(ONE, price, PLACES));
}

/** A price so many percent from `market`, to eight digits. */
export function movedBy(market: Decimal, percent: string): Decimal {
  return asShown(times(market, plus(ONE, shift(must(percent), -2))));
}

function asShown(price: Decimal): Decimal {
  return significant(price, SHOWN_DIGITS);
}
