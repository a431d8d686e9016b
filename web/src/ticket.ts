/** What the order ticket says, whether it can be sent, and the sending: one order for one intent, however often clicked. */

import { batch, computed, effect, signal } from "@preact/signals";
import { api, Refused, Unreachable } from "./api";
import { must, toText } from "./decimal";
import { codeOf, sentence } from "./errors";
import { boundBy } from "./floor";
import { FIRST_TICKET, keep, keptTicket } from "./kept_ticket";
import { type Kind, KINDS } from "./order";
import {
  amountError,
  deadline,
  fraction,
  sentTerms,
  type StopBy,
  type Term,
  termErrors,
  TERMS,
  termsOf,
  type TypedTerms,
} from "./order_terms";
import { quoteRequest, shownQuote } from "./quote_feed";
import { select } from "./selection";
import { serverNow } from "./server_clock";
import { canonical, decimalsOf, idOf, nameOf, tokens } from "./tokens";
import type { OrderBody, Quote, QuoteQuery } from "./wire";

export type Field = "tokenIn" | "tokenOut" | "amount" | Term;
export type FieldErrors = Partial<Record<Field, string>>;

const {
  tokenIn: keptIn,
  tokenOut: keptOut,
  amount: keptAmount,
  kind: keptKind,
  stopBy: keptStop,
  ...keptTerms
} = keptTicket();
export const tokenIn = signal(keptIn);
export const tokenOut = signal(keptOut);
export const amount = signal(keptAmount);
export const kind = signal<Kind>(KINDS.find((one) => one === keptKind) ?? "market");
/** Of an oco order: where its stop is. */
export const ocoStopBy = signal<StopBy>(keptStop === "trailing" ? "trailing" : "stopPrice");
export const typed = signal<TypedTerms>(keptTerms);

export const type = computed<OrderBody["type"]>(() => (kind.value === "trailing" ? "stop" : kind.value));
export const stopBy = computed<StopBy>(() =>
  kind.value === "oco" ? ocoStopBy.value : kind.value === "trailing" ? "trailing" : "stopPrice",
);
export const terms = computed(() => termsOf(type.value, stopBy.value));
/** Whether the order would wait for a price. */
export const waits = computed(() => kind.value !== "market");

export function typeTerm(term: Term, text: string): void {
  typed.value = { ...typed.peek(), [term]: text };
}

/** From now on a reload finds the ticket as it is; one whose tokens aren't traded any more is given up. */
export function keepTicket(): void {
  effect(() =>
    keep({
      tokenIn: tokenIn.value,
      tokenOut: tokenOut.value,
      amount: amount.value,
      kind: kind.value,
      stopBy: ocoStopBy.value,
      ...typed.value,
    }),
  );
  // at once, and not with the next picture: no quote may stand beside an amount that it isn't for, not for a moment
  effect(() => {
    const asked = quoteQuery.value;
    if (JSON.stringify(asked) !== JSON.stringify(quoteRequest.peek())) quoteRequest.value = asked;
  });
  effect(() => {
    const known = tokens.value;
    if (!known.length) return;
    const isTraded = (token: string): boolean => known.some((one) => idOf(one) === canonical(token));
    if (!isTraded(tokenIn.peek())) tokenIn.value = FIRST_TICKET.tokenIn;
    if (!isTraded(tokenOut.peek())) tokenOut.value = FIRST_TICKET.tokenOut;
  });
}

/** What was typed of the prices of a pair says nothing of another. */
function forgetPrices(): void {
  typed.value = { ...typed.peek(), limitPrice: "", stopPrice: "", minOut: "" };
}

/** Choose a token; one that stands on the other side changes places with it. */
export function choose(side: "in" | "out", token: string): void {
  const [mine, other] = side === "in" ? [tokenIn, tokenOut] : [tokenOut, tokenIn];
  if (other.peek() === token) swapTokens();
  else if (mine.peek() !== token) batch(() => ((mine.value = token), forgetPrices()));
}

export type Sending = "idle" | "sending" | "placed";
export const sending = signal<Sending>("idle");
/** What the server said of the fields when it refused the order. */
export const refusedFields = signal<FieldErrors>({});
/** What went wrong with the order as a whole. */
export const sendingProblem = signal<Error | null>(null);

const FIELDS: readonly Field[] = ["tokenIn", "tokenOut", "amount", ...TERMS];
// The server's messages go on where these end.
const FIELD_NAMES: Record<Field, string> = {
  tokenIn: "The token that you pay with",
  tokenOut: "The token that you receive",
  amount: "The amount",
  slippage: "The slippage",
  limitPrice: "The limit price",
  stopPrice: "The stop price",
  trailing: "The trailing stop",
  minOut: "The least to receive",
  maxTries: "The number of tries",
  expiresAt: "The deadline",
};
// For so long another click is the second half of a double click, and no order.
const PLACED_MS = 1_200;
// What a quote is asked with where the order has no slippage.
const NO_SLIPPAGE = "0";

/** What is wrong with the ticket as it stands. */
export const fieldErrors = computed<FieldErrors>(() => {
  const out = { name: nameOf(tokenOut.value), decimals: decimalsOf(tokenOut.value) };
  const found: FieldErrors = termErrors(terms.value, typed.value, out, serverNow());
  const paid = { name: nameOf(tokenIn.value), decimals: decimalsOf(tokenIn.value) };
  const wrongAmount = amount.value.trim() ? amountError(amount.value, paid) : "Enter an amount.";
  if (wrongAmount) found.amount = wrongAmount;
  if (tokenIn.value === tokenOut.value) found.tokenOut = "Choose two different tokens.";
  return found;
});

/** What the market is asked about the ticket, whatever its prices are; null while it isn't complete. */
const quoteQuery = computed<QuoteQuery | null>(() => {
  const wrong = fieldErrors.value;
  if (wrong.amount || wrong.tokenOut || wrong.slippage) return null;
  return {
    tokenIn: tokenIn.value,
    tokenOut: tokenOut.value,
    amount: toText(must(amount.value)),
    slippage: terms.value.includes("slippage") ? fraction(typed.value.slippage) : NO_SLIPPAGE,
  };
});

/** The order that the ticket stands for, without its deadline; null while something in it is wrong. */
export const order = computed<OrderBody | null>(() =>
  Object.keys(fieldErrors.value).length
    ? null
    : {
        type: type.value,
        tokenIn: tokenIn.value,
        tokenOut: tokenOut.value,
        amount: toText(must(amount.value)),
        ...sentTerms(terms.value, typed.value),
      },
);

/** Trade the other way round: what would be received now is paid. */
export function swapTokens(): void {
  const quoted = shownQuote.peek()?.amountOut;
  batch(() => {
    [tokenIn.value, tokenOut.value] = [tokenOut.peek(), tokenIn.peek()];
    if (quoted !== undefined) amount.value = quoted;
    forgetPrices();
  });
}

/**
 * An intent to trade: the same until it has become an order, so that it can be sent again and stay one. Its floor is
 * that of the quote at the first click: the quote moves on, and one key stands for one body.
 */
interface Intent {
  content: string;
  body: OrderBody;
  key: string;
  placed: boolean;
  /** No answer told whether there is an order of it. */
  isOpen: boolean;
}

let intent: Intent | null = null;

function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** What to send for the ticket's order: something new only where it is another, or the last intent is an order now. */
function intentFor(ticketed: OrderBody, quote: Quote | null, force: boolean): Intent {
  const until = terms.peek().includes("expiresAt") ? typed.peek().expiresAt : "";
  const content = JSON.stringify([ticketed, until, force]);
  if (intent && !intent.placed && intent.content === content) return intent;
  const expiresAt = deadline(until, serverNow());
  const body = {
    ...(waits.peek() ? ticketed : boundBy(quote, ticketed)),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(force && { force }),
  };
  intent = { content, body, key: newKey(), placed: false, isOpen: false };
  return intent;
}

/** What became of sending the ticket's order; "idle": nothing was sent. */
export type Outcome = "placed" | "idle" | Error;

/** Send the ticket's order, a market order for no less than `quote` promises; `force`: whatever its prices are. */
export async function place(quote: Quote | null = shownQuote.peek(), force = false): Promise<Outcome> {
  const ticketed = order.peek();
  if (!ticketed || sending.peek() !== "idle") return "idle";
  const sent = intentFor(ticketed, quote, force);
  sending.value = "sending";
  refusedFields.value = {};
  sendingProblem.value = null;
  try {
    const accepted = await api.execute(sent.body, sent.key);
    sent.placed = true;
    select(accepted.orderId, accepted.wsUrl);
    sending.value = "placed";
    setTimeout(() => (sending.value = "idle"), PLACED_MS);
    return "placed";
  } catch (error) {
    sending.value = "idle";
    refuse(error as Error, sent);
    return error as Error;
  }
}

/** Whether the server takes a price for a mistake, and would accept it all the same. */
export function looksLikeAMistake(error: unknown): error is Refused {
  return error instanceof Refused && codeOf(error.problem) === "IMPLAUSIBLE_PRICE";
}

/** What the server says of the fields of an order in a refusal. */
export function fieldsOf(error: Error | null): FieldErrors {
  return namedFields(error instanceof Refused ? error.problem.errors : undefined);
}

export function namedFields(errors: readonly { field: string; message: string }[] = []): FieldErrors {
  const fields: FieldErrors = {};
  for (const { field, message } of errors) {
    const own = FIELDS.find((name) => name === field);
    // how to force it is said by the question that follows
    if (own) fields[own] = sentence(`${FIELD_NAMES[own]} ${message.replace(/; force: true accepts it$/, "")}`);
  }
  return fields;
}

function refuse(error: Error, sent: Intent): void {
  const fields = fieldsOf(error);
  refusedFields.value = fields;
  // A new try after a refusal is a new intent; after silence, the first may have become an order.
  const isAnswered = error instanceof Refused && error.status < 500;
  if (!isAnswered) sent.isOpen = true;
  else if (error.status !== 429 || !sent.isOpen) intent = null;
  if (!Object.keys(fields).length) sendingProblem.value = error;
}

/** Whether a lost answer leaves open if there is an order. */
export function isOutcomeUnknown(error: Error): boolean {
  return error instanceof Unreachable;
}
