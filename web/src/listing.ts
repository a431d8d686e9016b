/** The list of orders: newest first, filtered, read page by page, kept up to date by the account's stream or by asking. */

import { computed, effect, signal, untracked } from "@preact/signals";
import { api, apiKey, type Filter, Refused } from "./api";
import { compareNewestFirst, isEnded } from "./order";
import { all, find, keep, take } from "./orders_store";
import { online, recoveries } from "./reachability";
import { stayConnected } from "./socket";
import { canonical } from "./tokens";
import type { Order } from "./wire";

const PAGE = 100;
const ASKING_MS = 2_000;
const CATCHING_UP_MS = 150;
// A burst larger than a page is caught up with page by page, but not for ever.
const CATCH_UP_PAGES = 5;

export const filter = signal<Filter>({ status: "", tokenIn: "", tokenOut: "" });
/** How the list is kept up to date. */
export const feed = signal<"stream" | "asking">("asking");

interface Progress {
  loading: boolean;
  /** What to send for the next page; null where there is none. */
  cursor: string | null;
  /** The last order that was read: older ones aren't shown, because some between may be missing. */
  last: Order | null;
  problem: Error | null;
}

const START: Progress = { loading: true, cursor: null, last: null, problem: null };
export const progress = signal<Progress>(START);

function matches(order: Order, { status, tokenIn, tokenOut }: Filter): boolean {
  return (
    (!status || order.status === status) &&
    (!tokenIn || canonical(order.tokenIn) === tokenIn) &&
    (!tokenOut || canonical(order.tokenOut) === tokenOut)
  );
}

export const listed = computed<Order[]>(() => {
  const { cursor, last } = progress.value;
  const wanted = filter.value;
  const shown: Order[] = [];
  for (const order of all()) {
    const isInRead = cursor === null || last === null || compareNewestFirst(order, last) <= 0;
    if (isInRead && matches(order, wanted)) shown.push(order);
  }
  return shown.sort(compareNewestFirst);
});

let reading = 0;

/** Read the first page of what the filter wants. */
async function readAnew(): Promise<void> {
  const turn = ++reading;
  progress.value = START;
  await readPage(turn, null);
}

/** Read the next page, if there is one and none is on its way. */
export async function readMore(): Promise<void> {
  const { cursor, loading } = progress.peek();
  if (loading || cursor === null) return;
  const turn = ++reading;
  progress.value = { ...progress.peek(), loading: true };
  await readPage(turn, cursor);
}

async function readPage(turn: number, cursor: string | null): Promise<void> {
  try {
    const page = await api.orders(filter.peek(), PAGE, cursor);
    if (turn !== reading) return;
    keep(page.orders);
    progress.value = { loading: false, cursor: page.nextCursor, last: page.orders.at(-1) ?? null, problem: null };
  } catch (error) {
    if (turn === reading) progress.value = { ...progress.peek(), loading: false, problem: error as Error };
  }
}

/** Read what is new at the top, up to where orders are known already, and what was still open. */
async function catchUp(): Promise<void> {
  const before = new Set<string>();
  const open: string[] = [];
  untracked(() => {
    for (const order of all()) {
      before.add(order.orderId);
      if (!isEnded(order)) open.push(order.orderId);
    }
  });
  const seen = new Set<string>();
  let cursor: string | null = null;
  for (let pages = 0; pages < CATCH_UP_PAGES; pages++) {
    const page = await api.orders({ status: "", tokenIn: "", tokenOut: "" }, 50, cursor);
    keep(page.orders);
    for (const order of page.orders) seen.add(order.orderId);
    cursor = page.nextCursor;
    if (cursor === null || page.orders.some((order) => before.has(order.orderId)) || before.size === 0) break;
  }
  if (open.some((orderId) => !seen.has(orderId) && find(orderId)?.status === "open")) {
    const waiting = await api.waiting();
    keep(waiting);
    for (const order of waiting) seen.add(order.orderId);
  }
  const missed = open.filter((orderId) => !seen.has(orderId)).slice(0, 20);
  keep(await Promise.all(missed.map((orderId) => api.order(orderId))));
}

let catchingUp: Promise<void> | null = null;

function catchUpSoon(): void {
  catchingUp ??= new Promise<void>((resolve) => setTimeout(resolve, CATCHING_UP_MS)).then(async () => {
    catchingUp = null;
    await catchUp().catch(() => undefined);
  });
}

/** Follow the account's stream where the server has one; ask every two seconds where it hasn't, or while it is away. */
function followAccount(): () => void {
  let offered = true;
  let live = false;
  const asking = window.setInterval(() => {
    if (!live && document.visibilityState === "visible" && online.peek()) catchUpSoon();
  }, ASKING_MS);
  const leave = stayConnected({
    address: async () => {
      try {
        return await api.accountStream();
      } catch (error) {
        offered = !(error instanceof Refused && [404, 405].includes(error.status));
        if (!offered) return null;
        throw error;
      }
    },
    onMessage: (message) => {
      const taken = take(message);
      if (taken === "partly") api.order(message.orderId).then((order) => keep([order]), catchUpSoon);
      else if (taken !== "taken") catchUpSoon();
    },
    onOpen: catchUpSoon,
    onState: (state) => {
      live = state === "live";
      feed.value = live ? "stream" : "asking";
    },
  });
  return () => {
    clearInterval(asking);
    leave();
  };
}

export function followOrders(): void {
  effect(() => {
    void filter.value;
    void apiKey.value;
    void recoveries.value;
    untracked(() => void readAnew());
  });
  effect(() => {
    void apiKey.value;
    void recoveries.value;
    return untracked(followAccount);
  });
}
