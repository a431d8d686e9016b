/** The orders that wait for a price or are on their way, and what the market pays for each of them. */

import { computed, effect, signal } from "@preact/signals";
import { api, apiKey, Refused } from "./api";
import { type Decimal, must } from "./decimal";
import { compareNewestFirst, isEnded } from "./order";
import { all, keep } from "./orders_store";
import { shownQuote } from "./quote_feed";
import { online, recoveries } from "./reachability";
import { canonical } from "./tokens";
import type { Order, Quote } from "./wire";

// One question at a time, so that many orders cost no more than one; those that weren't asked about yet come soon.
const EVERY_MS = 2_000;
const AT_FIRST_MS = 300;
const PATIENCE_MS = 15_000;
/** A price that wasn't renewed for so long says nothing any more. */
const OLD_MS = 120_000;

interface Look {
  /** Null where nothing is paid. */
  price: string | null;
  /** On this page's monotonic clock. */
  at: number;
}

/** The order whose form is open: one that ends meanwhile stays in sight until the form is closed. */
export const changedId = signal("");

export const openOrders = computed<Order[]>(() =>
  [...all()]
    .filter((order) => order.type !== "market" && (!isEnded(order) || order.orderId === changedId.value))
    .sort(compareNewestFirst),
);
/** Those that somebody sees: the market is asked about no other. */
export const seenOrders = signal<readonly Order[]>([]);

const looks = signal<ReadonlyMap<string, Look>>(new Map());

function keyOf({ tokenIn, tokenOut, amount }: Order | Quote): string {
  return [canonical(tokenIn), canonical(tokenOut), amount].join(" ");
}

/** What the best route pays for each whole token of the order's whole amount; null while that isn't known. */
export function marketPrice(order: Order): Decimal | null {
  const shown = shownQuote.value;
  const key = keyOf(order);
  if (shown && keyOf(shown) === key) return must(shown.price);
  const look = looks.value.get(key);
  return look?.price && performance.now() - look.at < OLD_MS ? must(look.price) : null;
}

/** Whose market was looked at the longest ago, of those that are seen and wait. */
function next(): Order | undefined {
  const at = (order: Order): number => looks.peek().get(keyOf(order))?.at ?? -Infinity;
  const waiting = seenOrders.peek().filter(({ status }) => status === "open");
  return waiting.reduce<Order | undefined>((first, one) => (first && at(first) <= at(one) ? first : one), undefined);
}

async function look(order: Order): Promise<number> {
  const { tokenIn, tokenOut, amount } = order;
  let price: string | null = null;
  let pause = EVERY_MS;
  try {
    const query = { tokenIn, tokenOut, amount, slippage: "0" };
    price = (await api.quote(query, AbortSignal.timeout(PATIENCE_MS))).price;
  } catch (error) {
    if (error instanceof Refused) pause = Math.max(pause, error.retryAfterMs ?? 0);
  }
  looks.value = new Map(looks.peek()).set(keyOf(order), { price, at: performance.now() });
  const following = next();
  return pause === EVERY_MS && following && !looks.peek().has(keyOf(following)) ? AT_FIRST_MS : pause;
}

export function followOpenOrders(): void {
  effect(() => {
    void apiKey.value;
    void recoveries.value;
    // what can't be read now is read with the next key, or when the server is back
    api.waiting().then(keep, () => undefined);
  });
  async function again(): Promise<void> {
    const order = document.visibilityState === "visible" && online.peek() ? next() : undefined;
    setTimeout(() => void again(), order ? await look(order) : AT_FIRST_MS);
  }
  void again();
}
