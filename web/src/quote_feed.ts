/** The live quote: asked for each second while someone looks, for what the ticket says at the moment. */

import { computed, effect, signal } from "@preact/signals";
import { api, apiKey, Refused } from "./api";
import { answers } from "./floor";
import { online } from "./reachability";
import { noteServerTime } from "./server_clock";
import type { Quote, QuoteQuery } from "./wire";

export interface QuoteState {
  /** The latest quote; still that of the former request until the first of a new one is there. */
  quote: Quote | null;
  /** When it was computed, on this page's monotonic clock. */
  madeAt: number;
  /** Whether `quote` is for what the ticket says now. */
  current: boolean;
  problem: Error | null;
  /** Whether it should have been renewed by now. */
  old: boolean;
}

const EVERY_MS = 1_000;
const AFTER_TYPING_MS = 200;
/** A quote that wasn't renewed for so long is no price to trade at. */
const OLD_MS = 4_000;
const LOOK_MS = 500;
const NOTHING: QuoteState = { quote: null, madeAt: 0, current: false, problem: null, old: false };

/** What to quote; null while the ticket isn't complete. */
export const quoteRequest = signal<QuoteQuery | null>(null);
/** Whether the ticket can be seen: nobody's quote isn't asked for. */
export const ticketIsVisible = signal(true);
export const quoteState = signal<QuoteState>(NOTHING);

/** The quote for exactly what the ticket says; null while there is none. No other may stand beside the ticket's amount. */
export const shownQuote = computed<Quote | null>(() => {
  const { quote, current } = quoteState.value;
  const request = quoteRequest.value;
  return quote && current && request && answers(quote, request) ? quote : null;
});

const pageIsVisible = signal(document.visibilityState === "visible");

function isSamePair(quote: Quote | null, request: QuoteQuery): boolean {
  return quote !== null && quote.tokenIn === request.tokenIn && quote.tokenOut === request.tokenOut;
}

/** Ask again and again until the returned function is called. */
function quoteAgainAndAgain(request: QuoteQuery): () => void {
  const abort = new AbortController();
  let timer: number | undefined;

  async function ask(): Promise<void> {
    const started = performance.now();
    let pause = EVERY_MS;
    try {
      const quote = await api.quote(request, abort.signal);
      noteServerTime(quote);
      quoteState.value = { quote, madeAt: performance.now() - quote.ageMs, current: true, problem: null, old: false };
    } catch (error) {
      if (abort.signal.aborted) return;
      const refused = error instanceof Refused ? error : null;
      if (refused?.retryAfterMs) pause = Math.max(pause, refused.retryAfterMs);
      const isInput = refused !== null && refused.status < 500 && refused.status !== 429;
      const former = quoteState.peek();
      quoteState.value = { ...(isInput ? NOTHING : former), problem: error as Error };
    }
    if (!abort.signal.aborted)
      timer = window.setTimeout(() => void ask(), Math.max(0, pause - (performance.now() - started)));
  }

  const former = quoteState.peek();
  quoteState.value = isSamePair(former.quote, request) ? { ...former, current: false, problem: null } : NOTHING;
  timer = window.setTimeout(() => void ask(), AFTER_TYPING_MS);
  return () => {
    abort.abort();
    clearTimeout(timer);
  };
}

/** Note it where the quote is no longer renewed, whatever keeps it from being. */
function noteAge(): void {
  const state = quoteState.peek();
  const old = state.quote !== null && performance.now() - state.madeAt > OLD_MS;
  if (old !== state.old) quoteState.value = { ...state, old };
}

export function keepQuoting(): void {
  setInterval(noteAge, LOOK_MS);
  document.addEventListener("visibilitychange", () => (pageIsVisible.value = document.visibilityState === "visible"));
  effect(() => {
    const request = quoteRequest.value;
    void apiKey.value;
    if (!request) {
      quoteState.value = NOTHING;
      return undefined;
    }
    if (!pageIsVisible.value || !ticketIsVisible.value || !online.value) return undefined;
    return quoteAgainAndAgain(request);
  });
}
