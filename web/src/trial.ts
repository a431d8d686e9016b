/** What the ticket's order would cost and meet, by a dry run: once it has stood still for a moment. */

import { effect, signal } from "@preact/signals";
import { api } from "./api";
import { online } from "./reachability";
import { shownQuote } from "./quote_feed";
import { order } from "./ticket";

export interface Trial {
  /** SOL for the order's one transaction; null where it can't be told. */
  networkFee: string | null;
  warnings: readonly string[];
}

const AFTER_MS = 900;

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
        ({ networkFee, warnings }) => {
          if (!ended.aborted) trial.value = { networkFee, warnings };
        },
        // a key that may only read can't try; the order itself says what is wrong with it
        () => undefined,
      );
    }, AFTER_MS);
  });
}
