/** What the ticket showed as "receive at least" becomes the order's own floor. */

import { compare, must } from "./decimal";
import type { OrderBody, Quote, QuoteQuery } from "./wire";

/** Whether `quote` answers `query`: the same tokens, and the same numbers however they are written. */
export function answers(quote: Quote, query: QuoteQuery): boolean {
  return (
    quote.tokenIn === query.tokenIn &&
    quote.tokenOut === query.tokenOut &&
    compare(must(quote.amount), must(query.amount)) === 0 &&
    compare(must(quote.slippage), must(query.slippage)) === 0
  );
}

/** The order with the floor of the quote that is shown for it; as it is where none is, or one so small that it binds nothing. */
export function boundBy(quote: Quote | null, order: OrderBody): OrderBody {
  const { slippage } = order;
  if (!quote || slippage === undefined || must(quote.minOut).digits === 0n) return order;
  return answers(quote, { ...order, slippage }) ? { ...order, minOut: quote.minOut } : order;
}
