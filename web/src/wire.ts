/**
 * The contract's JSON, by the page's own words. The types are those of the service's documents, from which `make web`
 * generates them; nothing of an answer is written by hand here.
 */

import type { ListedOrder, OrderChangeRequest, OrderRequest, ShownOrder } from "./schemas";

export type {
  AcceptedOrder as Accepted,
  Balance,
  BalanceList,
  CancelledOrders,
  DryRun,
  FillList,
  Health,
  HistoryStep,
  ListedToken as Token,
  OrderFill as Fill,
  OrderList as Page,
  PoolOffer as VenueQuote,
  Problem,
  Quote,
  RouteLeg as Leg,
  Status,
  StatusMessage,
} from "./schemas";

/** An order, however the page came to know it: only one that was asked for by itself tells where to watch it. */
export type Order = ListedOrder & Partial<Pick<ShownOrder, "wsPath" | "wsUrl">>;

/** What the page asks a quote for: each amount as text. */
export type QuoteQuery = Record<"tokenIn" | "tokenOut" | "amount" | "slippage", string>;

/** The same fields, each number of them as text. */
type AsText<Fields> = {
  [name in keyof Fields]: Fields[name] extends boolean ? boolean : Exclude<Fields[name], number>;
};

/** What the page orders. `minOut` of a market order is what the ticket showed as "receive at least". */
export type OrderBody = Omit<AsText<Partial<OrderRequest>>, "maxTries"> &
  Pick<OrderRequest, "type"> &
  Omit<QuoteQuery, "slippage"> & { maxTries?: number };

/** What the page changes of an order; a `minOut` of null removes it. */
export type OrderChanges = AsText<Partial<OrderChangeRequest>>;
