/** The HTTP API. Addresses are relative to the page, which the same API serves, whatever its stage is called. */

import { signal } from "@preact/signals";
import { reached, unreached } from "./reachability";
import type {
  Accepted,
  BalanceList,
  CancelledOrders,
  DryRun,
  FillList,
  Order,
  OrderBody,
  OrderChanges,
  Page,
  Problem,
  Quote,
  QuoteQuery,
  Token,
} from "./wire";

/** The server refused: `problem` says why, `retryAfterMs` when it may be asked again. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
    readonly retryAfterMs: number | null,
  ) {
    super(problem.detail);
  }
}

/** Nothing answered, or nothing that this page understands. */
export class Unreachable extends Error {}

const KEY = "fillrate.apiKey";
const PATIENCE_MS = 15_000;
const MOST_WAITING = 1_000;

/** The API key, for as long as the tab is open. The `local` stage needs none. */
export const apiKey = signal(sessionStorage.getItem(KEY) ?? "");
/** Whether the server asked for a key, or for another one. */
export const keyIsWanted = signal(false);

export function useKey(key: string): void {
  sessionStorage.setItem(KEY, key);
  apiKey.value = key;
  keyIsWanted.value = false;
}

export function forgetKey(): void {
  sessionStorage.removeItem(KEY);
  apiKey.value = "";
}

interface Call {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

async function call<Answer>(path: string, options: Call = {}): Promise<Answer> {
  return (await ask(path, options, (response) => response.json())).content as Answer;
}

async function ask<Content>(
  path: string,
  { method = "GET", body, headers = {}, signal: abort }: Call,
  read: (response: Response) => Promise<Content>,
): Promise<{ content: Content; response: Response }> {
  const time = AbortSignal.timeout(PATIENCE_MS);
  const request: RequestInit = {
    method,
    headers: {
      ...headers,
      ...(apiKey.value && { "x-api-key": apiKey.value }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    body: body === undefined ? null : JSON.stringify(body),
    signal: abort ? AbortSignal.any([abort, time]) : time,
    cache: "no-store",
    credentials: "omit",
  };
  let response: Response;
  let content: Content;
  let problem: unknown = null;
  try {
    response = await fetch(new URL(path, document.baseURI), request);
    if (!response.ok) problem = await response.json();
    content = response.ok ? await read(response) : (problem as Content);
  } catch (error) {
    if (abort?.aborted) throw error;
    unreached();
    throw new Unreachable("Fillrate does not answer.");
  }
  reached();
  if (response.ok) return { content, response };
  if (response.status === 401) keyIsWanted.value = true;
  const wait = Number(response.headers.get("retry-after") ?? Number.NaN);
  throw new Refused(response.status, problem as Problem, Number.isFinite(wait) ? wait * 1000 : null);
}

export interface Filter {
  status: string;
  tokenIn: string;
  tokenOut: string;
}

const addressOf = (orderId: string): string => `orders/${encodeURIComponent(orderId)}`;

export const api = {
  quote: (query: QuoteQuery, abort: AbortSignal): Promise<Quote> =>
    call(`quotes?${new URLSearchParams({ ...query })}`, { signal: abort }),

  execute: (order: OrderBody, idempotencyKey: string): Promise<Accepted> =>
    call("orders/execute", { method: "POST", body: order, headers: { "idempotency-key": idempotencyKey } }),

  order: (orderId: string): Promise<Order> => call(addressOf(orderId)),

  change: (orderId: string, changes: OrderChanges): Promise<Order> =>
    call(addressOf(orderId), { method: "PATCH", body: changes }),

  cancel: (orderId: string): Promise<Order> => call(addressOf(orderId), { method: "DELETE" }),

  orders: (filter: Filter, limit: number, cursor: string | null): Promise<Page> => {
    const query = new URLSearchParams({ limit: String(limit) });
    for (const [name, value] of Object.entries({ ...filter, cursor })) if (value) query.set(name, value);
    return call(`orders?${query}`);
  },

  /** Every order that waits for its price, newest first; a thousand at most. */
  waiting: async (): Promise<Order[]> => {
    const found: Order[] = [];
    let cursor: string | null = null;
    do {
      const page: Page = await api.orders({ status: "open", tokenIn: "", tokenOut: "" }, 200, cursor);
      found.push(...page.orders);
      cursor = page.nextCursor;
    } while (cursor !== null && found.length < MOST_WAITING);
    return found;
  },

  cancelAll: (): Promise<CancelledOrders> => call("orders?status=unsigned", { method: "DELETE" }),

  /** What would become of the order; nothing is placed. */
  dryRun: (order: OrderBody, abort: AbortSignal): Promise<DryRun> =>
    call("orders/execute", { method: "POST", body: { ...order, dryRun: true }, signal: abort }),

  balances: (): Promise<BalanceList> => call("balances"),

  fills: (limit: number, cursor: string | null): Promise<FillList> => {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor !== null && { cursor }) });
    return call(`fills?${query}`);
  },

  /** A page of the fills as comma-separated values, and where the next one begins. */
  fillsCsv: async (cursor: string | null): Promise<{ text: string; next: string | null }> => {
    const query = new URLSearchParams({ format: "csv", limit: "1000", ...(cursor !== null && { cursor }) });
    const { content, response } = await ask(`fills?${query}`, {}, (answer) => answer.text());
    return { text: content, next: response.headers.get("next-cursor") };
  },

  tokens: async (): Promise<Token[]> => (await call<{ tokens: Token[] }>("tokens")).tokens,

  /** An address that tells every change of the account's orders, to be connected to at once: its ticket lasts a minute. */
  accountStream: async (): Promise<string> =>
    (await call<{ wsUrl: string }>("ws-tickets", { method: "POST", body: {} })).wsUrl,
};
