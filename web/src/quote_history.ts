/** The rates of the last two minutes, of the route and of each venue alone. Floats: they become pixels. */

import { computed, effect, signal } from "@preact/signals";
import { must, toPixels } from "./decimal";
import { quoteState } from "./quote_feed";
import type { Quote } from "./wire";

const KEPT_MS = 120_000;

interface Point {
  at: number;
  route: number;
  venues: Map<string, number>;
}

export interface RateHistory {
  /** Seconds before the newest quote: 0 and below. */
  seconds: number[];
  route: number[];
  venues: { dex: string; pool: string; rates: (number | null)[] }[];
}

const points = signal<readonly Point[]>([]);
let subject = "";

function pointOf(quote: Quote): Point {
  const venues = new Map<string, number>();
  for (const { pool, price } of quote.quotes) if (price !== undefined) venues.set(pool, toPixels(must(price)));
  return { at: Date.parse(quote.at), route: toPixels(must(quote.price)), venues };
}

/** Rates depend on the amount too, so another amount starts another history. */
export function keepHistory(): void {
  effect(() => {
    const { quote, current } = quoteState.value;
    if (!quote || !current) return;
    const about = [quote.tokenIn, quote.tokenOut, quote.amount].join(" ");
    const former = about === subject ? points.peek() : [];
    subject = about;
    const point = pointOf(quote);
    if (former.at(-1)?.at === point.at) return;
    points.value = [...former.filter(({ at }) => at > point.at - KEPT_MS), point];
  });
}

export const rateHistory = computed<RateHistory>(() => {
  const kept = points.value;
  const newest = kept.at(-1)?.at ?? 0;
  const quotes = quoteState.peek().quote?.quotes ?? [];
  return {
    seconds: kept.map(({ at }) => (at - newest) / 1000),
    route: kept.map(({ route }) => route),
    venues: quotes.map(({ dex, pool }) => ({ dex, pool, rates: kept.map(({ venues }) => venues.get(pool) ?? null) })),
  };
});
