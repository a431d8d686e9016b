/** An order that may cost much is asked for again, with what it may cost; Enter alone doesn't place it. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { announce } from "./announcer";
import { costOf, needsCare } from "./cost";
import { rounded, toText } from "./decimal";
import { amount as amountText, evenPercent } from "./format";
import * as ticket from "./ticket";
import { decimalsOf, nameOf } from "./tokens";
import type { Quote } from "./wire";

/** The quote whose order is asked about; null while none is. */
const asked = signal<Quote | null>(null);

/** Place the ticket's order by this quote, or ask first. */
export async function placeWithCare(quote: Quote | null): Promise<void> {
  if (quote && needsCare(quote)) {
    asked.value = quote;
    return;
  }
  if (await ticket.place(quote)) announce("Order placed.");
}

export function Confirmation(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const quote = asked.value;
  useEffect(() => {
    if (quote && !dialog.current?.open) dialog.current?.showModal();
    if (!quote && dialog.current?.open) dialog.current.close();
  }, [quote]);

  async function confirm(): Promise<void> {
    const confirmed = asked.peek();
    asked.value = null;
    if (confirmed && (await ticket.place(confirmed))) announce("Order placed.");
  }

  return (
    <dialog
      ref={dialog}
      class="key confirmation"
      aria-labelledby="confirmation-title"
      aria-describedby="confirmation-text"
      onClose={() => (asked.value = null)}
    >
      {quote && <Question quote={quote} onConfirm={() => void confirm()} onBack={() => dialog.current?.close()} />}
    </dialog>
  );
}

function Question({
  quote,
  onConfirm,
  onBack,
}: {
  quote: Quote;
  onConfirm: () => void;
  onBack: () => void;
}): JSX.Element {
  const out = nameOf(quote.tokenOut);
  const places = decimalsOf(quote.tokenOut) ?? 9;
  const cost = costOf(quote);
  const care = needsCare(quote);
  const told = (value: typeof cost.worst): string => amountText(toText(rounded(value, places)), out);
  return (
    <div class="question">
      <h2 id="confirmation-title" tabIndex={-1} autoFocus>
        This order may cost you {told(cost.worst)}
      </h2>
      <div id="confirmation-text">
        <p>
          Swap {amountText(quote.amount, nameOf(quote.tokenIn))} for {amountText(quote.amountOut, out)}, and for{" "}
          {amountText(quote.minOut, out)} at least.
        </p>
        <ul>
          <li class={care?.impact ? "impact-severe" : ""}>
            Price impact {evenPercent(quote.priceImpact)}: <strong>{told(cost.impact)}</strong> less than at the pools'
            prices, their fees included.
          </li>
          <li class={care?.slippage ? "impact-severe" : ""}>
            Slippage {evenPercent(quote.slippage)}: the market may take up to <strong>{told(cost.slippage)}</strong>{" "}
            more before the order is filled.
          </li>
        </ul>
      </div>
      <div class="dialog-end">
        <button type="button" class="secondary" onClick={onBack}>
          Go back
        </button>
        <button
          type="button"
          class="primary danger"
          onClick={onConfirm}
          onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}
          aria-describedby="confirmation-key"
        >
          Swap all the same
        </button>
      </div>
      <p class="faint" id="confirmation-key">
        Enter doesn't place it: click, or press the space bar on the button.
      </p>
    </div>
  );
}
