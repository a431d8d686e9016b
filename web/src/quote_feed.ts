/**
 * The live quote of what the ticket says at the moment, while someone looks: the first is asked for, and the next come by
 * the stream as the market changes. Where there is no stream, or it is silent for too long, it is asked for each second.
 */

import { computed, effect, signal, untracked } from "@preact/signals";
import { api, apiKey, Refused } from "./api";
import { answers } from "./floor";
import { NO_PULSE, type Pulse, treatment } from "./quote_pulse";
import { online } from "./reachability";
import { noteServerTime } from "./server_clock";
import { onQuotes, quoteCarrier, type QuoteNews } from "./socket";
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
/** How often one that says nothing is asked again. */
const STREAM_AGAIN_MS = 10_000;
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

type Pair = Pick<QuoteQuery, "tokenIn" | "tokenOut">;

function isSamePair(quote: Pair | null, request: Pair): boolean {
  return quote !== null && quote.tokenIn === request.tokenIn && quote.tokenOut === request.tokenOut;
}

/** What is kept fresh now; null while nobody looks. */
let wanted: QuoteQuery | null = null;
/** What is streamed now; a stream goes on by itself until another pair is, or none. */
let streamed: QuoteQuery | null = null;
let pulse: Pulse = NO_PULSE;

/** Say over the connection that carries quotes that these are wanted; false where there is none. */
function stream(request: QuoteQuery): boolean {
  const carrier = quoteCarrier.peek();
  if (!carrier) return false;
  if (streamed && (streamed.tokenIn !== request.tokenIn || streamed.tokenOut !== request.tokenOut)) endStream();
  carrier.send(JSON.stringify({ action: "quotes", ...request }));
  streamed = request;
  pulse = { ...pulse, askedAt: performance.now() };
  return true;
}

function endStream(): void {
  const carrier = quoteCarrier.peek();
  if (carrier && streamed) {
    const { tokenIn, tokenOut } = streamed;
    carrier.send(JSON.stringify({ action: "unsubscribe", tokenIn, tokenOut }));
  }
  streamed = null;
  pulse = NO_PULSE;
}

function show(quote: Quote): void {
  const { quote: former, current, old } = quoteState.peek();
  // An answer that was long on its way must not take the place of what the stream told since.
  if (former && current && !old && quote.slot < former.slot) return;
  noteServerTime(quote);
  quoteState.value = { quote, madeAt: performance.now() - quote.ageMs, current: true, problem: null, old: false };
}

/** What stands beside a problem: after a wrong input nothing, after trouble that may pass the quote as it was. */
function showProblem(problem: Error): void {
  const isInput = problem instanceof Refused && problem.status < 500 && problem.status !== 429;
  quoteState.value = { ...(isInput ? NOTHING : quoteState.peek()), problem };
}

/** Take what the stream tells, if it is about what the ticket says now. */
function hear(news: QuoteNews): void {
  const request = quoteRequest.peek();
  if (!request || !streamed || news.type === "error") return;
  if (news.type === "quote-error") {
    const { tokenIn, tokenOut, title, status, detail, errorCode } = news;
    if (!isSamePair({ tokenIn, tokenOut }, request)) return;
    const type = `urn:fillrate:problem:${errorCode.toLowerCase().replaceAll("_", "-")}`;
    showProblem(new Refused(status, { type, title, status, detail }, null));
  } else {
    const { type: _, ...quote } = news;
    if (!answers(quote, request)) return;
    show(quote);
  }
  pulse = { ...pulse, heardAt: performance.now() };
}

/** Keep the ticket's quote fresh, until the returned function is called. */
function keepFresh(request: QuoteQuery): () => void {
  const abort = new AbortController();
  let timer: number | undefined;

  /** Ask, and return how long to wait at least. */
  async function ask(): Promise<number> {
    try {
      show(await api.quote(request, abort.signal));
    } catch (error) {
      if (abort.signal.aborted) return 0;
      showProblem(error as Error);
      if (error instanceof Refused && error.retryAfterMs) return error.retryAfterMs;
    }
    return EVERY_MS;
  }

  async function tend(first: boolean): Promise<void> {
    const started = performance.now();
    let pause = LOOK_MS;
    wanted = request;
    const what = first ? "ask" : treatment(pulse, started);
    const streams = what === "ask" ? stream(request) : what === "wait";
    if (!streams) pause = await ask();
    // the stream's first word comes with the next look at the market, in a second or so
    else if (first) void ask();
    // a stream that came back meanwhile is heard by the wish that its connection brings
    if (what === "poll" && started - pulse.askedAt >= STREAM_AGAIN_MS) stream(request);
    if (!abort.signal.aborted)
      timer = window.setTimeout(() => void tend(false), Math.max(0, pause - (performance.now() - started)));
  }

  const former = quoteState.peek();
  quoteState.value = isSamePair(former.quote, request) ? { ...former, current: false, problem: null } : NOTHING;
  timer = window.setTimeout(() => void tend(true), AFTER_TYPING_MS);
  return () => {
    wanted = null;
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
  onQuotes(hear);
  // What was streamed over a connection ended with it, and goes on over the next.
  effect(() => {
    void quoteCarrier.value;
    streamed = null;
    pulse = NO_PULSE;
    if (wanted) stream(wanted);
  });
  document.addEventListener("visibilitychange", () => (pageIsVisible.value = document.visibilityState === "visible"));
  effect(() => {
    const request = quoteRequest.value;
    void apiKey.value;
    if (!request) quoteState.value = NOTHING;
    if (!request || !pageIsVisible.value || !ticketIsVisible.value || !online.value) {
      untracked(endStream);
      return undefined;
    }
    return untracked(() => keepFresh(request));
  });
}
