/** Placing the ticket's order; one that may cost much, or whose price looks like a mistake, is asked about first. */

import type { JSX } from "preact";
import { announce } from "./announcer";
import { ask } from "./confirmation";
import { costOf, needsCare, needsCareAtLimit } from "./cost";
import { type Decimal, minus, must, rounded, toText } from "./decimal";
import { amount as amountText, evenPercent } from "./format";
import * as ticket from "./ticket";
import { decimalsOf, nameOf } from "./tokens";
import { leastAt } from "./waiting_prices";
import type { Quote } from "./wire";

/** Place the ticket's order by this quote, or ask first. */
export async function placeWithCare(quote: Quote | null): Promise<void> {
  const question = quote && costly(quote);
  if (quote && question)
    ask({
      ...question,
      action: ticket.waits.peek() ? "Place it all the same" : "Swap all the same",
      onConfirm: () => void send(quote),
    });
  else await send(quote);
}

async function send(quote: Quote | null, force = false): Promise<void> {
  const waits = ticket.waits.peek();
  const outcome = await ticket.place(quote, force);
  if (outcome === "placed") announce(waits ? "Order placed. It waits for its price." : "Order placed.");
  else if (ticket.looksLikeAMistake(outcome))
    askAboutMistake(outcome, "Place it all the same", () => void send(quote, true));
}

/** Ask about a price that the server takes for a mistake. */
export function askAboutMistake(error: Error, action: string, onConfirm: () => void): void {
  ask({
    title: "Is this price meant?",
    text: (
      <>
        <p>It looks like a mistake beside what the market pays now.</p>
        <ul>
          {Object.entries(ticket.fieldsOf(error)).map(([field, text]) => (
            <li key={field} class="impact-severe">
              {text}
            </li>
          ))}
        </ul>
      </>
    ),
    action,
    onConfirm,
  });
}

/** What the ticket's order may cost where that is much; null where it isn't. */
function costly(quote: Quote): { title: string; text: JSX.Element } | null {
  const out = nameOf(quote.tokenOut);
  const places = decimalsOf(quote.tokenOut) ?? 9;
  const told = (value: Decimal): string => amountText(toText(rounded(value, places)), out);
  const limit = ticket.order.peek()?.limitPrice;
  if (limit !== undefined && needsCareAtLimit(quote, limit)) {
    const least = leastAt(must(quote.amount), must(limit), places);
    const loss = minus(must(quote.amountOut), least);
    return {
      title: `This order may cost you ${told(loss)}`,
      text: (
        <p>
          The market pays {amountText(quote.amountOut, out)} now, so the order would trade at once, and its limit price
          accepts {told(least)}.
        </p>
      ),
    };
  }
  const care = ticket.terms.peek().includes("slippage") ? needsCare(quote) : null;
  if (!care) return null;
  const cost = costOf(quote);
  const waits = ticket.waits.peek();
  return {
    title: `This order may cost you ${told(cost.worst)}`,
    text: (
      <>
        <p>
          {waits ? "Its stop sells at the market. At what that pays now: " : ""}
          {waits ? "swap" : "Swap"} {amountText(quote.amount, nameOf(quote.tokenIn))} for{" "}
          {amountText(quote.amountOut, out)}, and for {amountText(quote.minOut, out)} at least.
        </p>
        <ul>
          <li class={care.impact ? "impact-severe" : ""}>
            Price impact {evenPercent(quote.priceImpact)}: <strong>{told(cost.impact)}</strong> less than at the pools'
            prices, their fees included.
          </li>
          <li class={care.slippage ? "impact-severe" : ""}>
            Slippage {evenPercent(quote.slippage)}: the market may take up to <strong>{told(cost.slippage)}</strong>{" "}
            more before the order is filled.
          </li>
        </ul>
      </>
    ),
  };
}
