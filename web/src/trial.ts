/** What the ticket's order would cost, receive and meet, by a dry run: once it has stood still for a moment. */

import { effect, signal } from "@preact/signals";
import { api } from "./api";
import { online } from "./reachability";
import { shownQuote } from "./quote_feed";
import { type FieldErrors, fieldsOf, namedFields, order } from "./ticket";

export interface Trial {
  /** SOL for the order's one transaction; null where it can't be told. */
  networkFee: string | null;
  /** What would keep it from being placed, or from being filled. */
  warnings: readonly string[];
  /** The least that it would receive, as far as that is known before it is set off. */
  minOut: string | null;
  /** What the service says of the fields. */
  fields: FieldErrors;
}

const AFTER_MS = 900;
/** Whether a price makes sense is told by the quote that is shown, which moves on. */
const TOLD_BY_QUOTE = "IMPLAUSIBLE_PRICE";

export const trial = signal<Trial | null>(null);

export function keepTrying(): void {
  let about = "";
  let timer: number | undefined;
  let abort = new AbortController();
  effect(() => {
    const body = order.value;
    const content = body && shownQuote.value && online.value ? JSON.stringify(body) : "";
    if (content === about) return;
    about = content;
    trial.value = null;
    clearTimeout(timer);
    abort.abort();
    if (!content || !body) return;
    abort = new AbortController();
    const { signal: ended } = abort;
    timer = window.setTimeout(() => {
      api.dryRun(body, ended).then(
        ({ networkFee, warnings, minOut, refusals }) => {
          if (ended.aborted) return;
          const refused = refusals.filter(({ errorCode }) => errorCode !== TOLD_BY_QUOTE);
          trial.value = {
            networkFee,
            warnings: [...warnings, ...refused.map(({ detail }) => detail)],
            minOut,
            fields: namedFields(refused.flatMap(({ errors = [] }) => errors)),
          };
        },
        // a key that may only read can't try; the order itself says what else is wrong with it
        (error: Error) => {
          if (!ended.aborted) trial.value = { networkFee: null, warnings: [], minOut: null, fields: fieldsOf(error) };
        },
      );
    }, AFTER_MS);
  });
}
