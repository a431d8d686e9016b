/** Whether an order can be placed now, and if not, why: what the button says when it is off. */

import { computed } from "@preact/signals";
import { balanceOf } from "./balances";
import { compare, must } from "./decimal";
import { amount as amountText } from "./format";
import { wordsFor } from "./plain_error";
import { quoteState, shownQuote } from "./quote_feed";
import { health, online } from "./reachability";
import { fieldErrors, order, waits } from "./ticket";
import { nameOf } from "./tokens";

/** What stops trading, and not the waiting for a price. */
const STOPS_TRADING = /^(halted|overdue|queue):/;

/** What the wallet lacks for the ticket's amount, in words; null where it has enough, or where that isn't known. */
export const lacking = computed<string | null>(() => {
  const wanted = order.value;
  const held = wanted && balanceOf(wanted.tokenIn);
  if (!wanted || !held || compare(must(wanted.amount), must(held.amount)) <= 0) return null;
  return `The wallet holds only ${amountText(held.amount, nameOf(wanted.tokenIn))}.`;
});

/** Null where the button works; a wrong field doesn't put it off: pressing it says which. */
export const whyOff = computed<string | null>(() => {
  if (!online.value) return "Fillrate does not answer.";
  const degraded = (health.value?.degraded ?? []).filter((reason) => !waits.value || !STOPS_TRADING.test(reason));
  if (degraded.length) return `A new order would not trade now. ${degraded.join("; ")}.`;
  if (Object.keys(fieldErrors.value).length) return null;
  // an order that waits takes nothing from the wallet yet
  if (lacking.value && !waits.value) return lacking.value;
  const { problem, old } = quoteState.value;
  if (problem) return wordsFor(problem).what;
  if (!shownQuote.value) return "Waiting for the quote of this amount.";
  return old ? "The quote is out of date. Waiting for a new one." : null;
});
