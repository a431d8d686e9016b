/** What a quote costs beside what it pays, in the token that is received. Pure, exact. */

import { type Decimal, compare, minus, must, plus, quotient, times } from "./decimal";
import type { Quote } from "./wire";

const ONE = must("1");
const ZERO = must("0");
// More digits than any token has.
const PLACES = 18;

export interface QuoteCost {
  /** How much less than at the pools' mid prices comes out: the pools' fees and the price impact together. */
  impact: Decimal;
  /** How much less than quoted may come out at most: what the slippage allows. */
  slippage: Decimal;
  /** Both together. */
  worst: Decimal;
}

export function costOf(quote: Quote): QuoteCost {
  const out = must(quote.amountOut);
  const kept = minus(ONE, must(quote.priceImpact));
  const ideal = compare(kept, ZERO) > 0 ? quotient(out, kept, PLACES) : out;
  const impact = minus(ideal, out);
  const slippage = minus(out, must(quote.minOut));
  return { impact, slippage, worst: plus(impact, slippage) };
}

const CAREFUL_IMPACT = must("0.03");
const CAREFUL_SLIPPAGE = must("0.02");

/** Whether an order by this quote is asked for again: more than 3 % price impact, or more than 2 % slippage. */
export function needsCare(quote: Quote): { impact: boolean; slippage: boolean } | null {
  const impact = compare(must(quote.priceImpact), CAREFUL_IMPACT) > 0;
  const slippage = compare(must(quote.slippage), CAREFUL_SLIPPAGE) > 0;
  return impact || slippage ? { impact, slippage } : null;
}

/** Whether a limit price accepts more than 2 % less than what the market pays already. */
export function needsCareAtLimit(quote: Quote, limitPrice: string): boolean {
  return compare(must(limitPrice), times(must(quote.price), minus(ONE, CAREFUL_SLIPPAGE))) < 0;
}

/** Whole units of the reference currency for one whole token; null where there is nothing to tell it from. */
export function unitValue(amount: string, value: string | undefined): Decimal | null {
  const held = must(amount);
  return value === undefined || held.digits === 0n ? null : quotient(must(value), held, PLACES);
}

/** `amount` at so much a unit. */
export function valued(amount: Decimal, unit: Decimal): Decimal {
  return times(amount, unit);
}
