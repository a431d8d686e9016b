/** What the ticket's waiting order comes to: what it would receive, and what it doesn't promise. */

import type { JSX } from "preact";
import { compare, type Decimal, must, parse, toText } from "./decimal";
import { Fact } from "./fact";
import { amount as amountText, evenPercent } from "./format";
import { mostAt, isReached, leastAt, type Leg, trailingStop } from "./waiting_prices";
import * as ticket from "./ticket";
import { decimalsOf, nameOf } from "./tokens";
import { trial } from "./trial";
import type { Quote } from "./wire";

const ONE = must("1");

/** The ticket's prices, a trailing stop's where it would be at first; those that aren't there yet are left out. */
function legs(market: Decimal | null): Leg[] {
  const wanted = ticket.order.value;
  if (!wanted) return [];
  const found: Leg[] = [];
  if (wanted.limitPrice !== undefined) found.push({ kind: "limit", price: wanted.limitPrice });
  if (wanted.stopPrice !== undefined) found.push({ kind: "stop", price: wanted.stopPrice });
  if (wanted.trailing !== undefined && market)
    found.push({ kind: "stop", price: toText(trailingStop(market, must(wanted.trailing))) });
  return found;
}

/** What a leg brings in whole tokens: a limit's least, or the most at which a stop is reached. */
function brings({ kind, price }: Leg, amount: string, decimals: number): Decimal {
  return (kind === "limit" ? leastAt : mostAt)(must(amount), must(price), decimals);
}

/** What is received by the order's first price, and how that is called. */
export function received(quote: Quote | null): { label: string; amount: string | null } {
  const [first] = legs(quote && must(quote.price));
  const kind = ticket.kind.value;
  const label =
    kind === "limit"
      ? "You receive, at least"
      : kind === "oco"
        ? "You receive at its limit, at least"
        : "You receive at its stop, about";
  const wanted = ticket.order.value;
  if (!first || !wanted) return { label, amount: null };
  const decimals = decimalsOf(wanted.tokenOut) ?? 9;
  const own = wanted.minOut === undefined ? null : must(wanted.minOut);
  const brought = brings(first, wanted.amount, decimals);
  const local = own && compare(own, brought) > 0 ? own : brought;
  return { label, amount: (kind === "limit" ? trial.value?.minOut : undefined) ?? toText(local) };
}

export function WaitingTerms({ quote }: { quote: Quote | null }): JSX.Element {
  const market = quote && must(quote.price);
  const out = nameOf(ticket.tokenOut.value);
  const decimals = decimalsOf(ticket.tokenOut.value) ?? 9;
  const wanted = ticket.order.value;
  const all = legs(market);
  const stop = all.find(({ kind }) => kind === "stop");
  const atStop = stop && wanted ? brings(stop, wanted.amount, decimals) : null;
  const slippage = parse(ticket.typed.value.slippage);
  const least =
    atStop && slippage
      ? leastAt(atStop, trailingStop(ONE, { ...slippage, scale: slippage.scale + 2 }), decimals)
      : null;
  const reached = market && all.find((leg) => isReached(leg, market));
  const isStop = ticket.terms.value.includes("slippage");
  return (
    <>
      <dl class="terms">
        <Fact name="The market pays now" test="market-pays">
          {quote ? amountText(quote.amountOut, out) : <span class="faint">–</span>}
        </Fact>
        {quote && <Fact name="Price impact">{evenPercent(quote.priceImpact)}</Fact>}
        {atStop && ticket.kind.value === "oco" && (
          <Fact name="Or at its stop, about">{amountText(toText(atStop), out)}</Fact>
        )}
        {least && (
          <Fact name="With its slippage, about" test="stop-least">
            {amountText(toText(least), out)}
          </Fact>
        )}
      </dl>
      {reached && (
        <p class="caution caution-high" data-test="reached">
          {reached.kind === "limit"
            ? "The market pays this already: the order would trade at once, for no less than its limit price."
            : "The market pays no more than this already: the order would be sold at once."}
        </p>
      )}
      {isStop && (
        <p class="small-print">
          In a fall deeper than its slippage a stop does not fill. A price that comes and goes within a second or so may
          be missed.
        </p>
      )}
    </>
  );
}
