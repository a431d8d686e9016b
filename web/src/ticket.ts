/** What the order ticket says, whether it can be sent, and the sending: one order for one intent, however often clicked. */

import { batch, computed, effect, signal } from "@preact/signals";
import { api, Refused, Unreachable } from "./api";
import { compare, must, parse, shift, toText } from "./decimal";
import { sentence } from "./errors";
import { boundBy } from "./floor";
import { FIRST_TICKET, keep, keptTicket } from "./kept_ticket";
import { quoteRequest, shownQuote } from "./quote_feed";
import { select } from "./selection";
import { canonical, decimalsOf, idOf, nameOf, tokens } from "./tokens";
import type { OrderBody, Quote, QuoteQuery } from "./wire";

export type Field = "tokenIn" | "tokenOut" | "amount" | "slippage";
export type FieldErrors = Partial<Record<Field, string>>;

const kept = keptTicket();
export const tokenIn = signal(kept.tokenIn);
export const tokenOut = signal(kept.tokenOut);
export const amount = signal(kept.amount);
/** In percent, as it is typed. */
export const slippage = signal(kept.slippage);

/** From now on a reload finds the ticket as it is; one whose tokens aren't traded any more is given up. */
export function keepTicket(): void {
  effect(() =>
    keep({
      tokenIn: tokenIn.value,
      tokenOut: tokenOut.value,
      amount: amount.value,
      slippage: slippage.value,
    }),
  );
  // at once, and not with the next picture: no quote may stand beside an amount that it isn't for, not for a moment
  effect(() => {
    const body = order.value;
    const { tokenIn, tokenOut, amount, slippage } = body ?? {};
    const asked = body && ({ tokenIn, tokenOut, amount, slippage } as QuoteQuery);
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

/** Choose a token; one that stands on the other side changes places with it. */
export function choose(side: "in" | "out", token: string): void {
  const [mine, other] = side === "in" ? [tokenIn, tokenOut] : [tokenOut, tokenIn];
  if (other.peek() === token) swapTokens();
  else mine.value = token;
}

export type Sending = "idle" | "sending" | "placed";
export const sending = signal<Sending>("idle");
/** What the server said of the fields when it refused the order. */
export const refusedFields = signal<FieldErrors>({});
/** What went wrong with the order as a whole. */
export const sendingProblem = signal<Error | null>(null);

const FIELDS: readonly Field[] = ["tokenIn", "tokenOut", "amount", "slippage"];
// The server's messages go on where these end.
const FIELD_NAMES: Record<Field, string> = {
  tokenIn: "The token that you pay with",
  tokenOut: "The token that you receive",
  amount: "The amount",
  slippage: "The slippage",
};
const MOST_SLIPPAGE = must("50");
const ZERO = must("0");
// For so long another click is the second half of a double click, and no order.
const PLACED_MS = 1_200;

function amountError(text: string, token: string): string | null {
  if (!text.trim()) return "Enter an amount.";
  const value = parse(text);
  if (!value) return "Write the amount in digits with a point, such as 1000.5";
  if (compare(value, ZERO) <= 0) return "The amount must be above zero.";
  const decimals = decimalsOf(token);
  const used = toText(value).split(".")[1]?.length ?? 0;
  return decimals !== null && used > decimals ? `${nameOf(token)} has ${decimals} decimals, this has ${used}.` : null;
}

function slippageError(text: string): string | null {
  const value = parse(text);
  if (!value) return "Write a percentage, such as 0.5";
  if (compare(value, ZERO) < 0 || compare(value, MOST_SLIPPAGE) > 0) return "Slippage can be 0 to 50 %.";
  return (toText(value).split(".")[1]?.length ?? 0) > 4 ? "At most 4 decimals." : null;
}

/** What is wrong with the ticket as it stands. */
export const fieldErrors = computed<FieldErrors>(() => {
  const found: FieldErrors = {};
  const wrongAmount = amountError(amount.value, tokenIn.value);
  const wrongSlippage = slippageError(slippage.value);
  if (wrongAmount) found.amount = wrongAmount;
  if (wrongSlippage) found.slippage = wrongSlippage;
  if (tokenIn.value === tokenOut.value) found.tokenOut = "Choose two different tokens.";
  return found;
});

/** The order that the ticket stands for; null while something in it is wrong. */
export const order = computed<OrderBody | null>(() => {
  if (Object.keys(fieldErrors.value).length) return null;
  const fraction = toText(shift(must(slippage.value), -2));
  return {
    type: "market",
    tokenIn: tokenIn.value,
    tokenOut: tokenOut.value,
    amount: toText(must(amount.value)),
    slippage: fraction,
  };
});

/** Trade the other way round: what would be received now is paid. */
export function swapTokens(): void {
  const quoted = shownQuote.peek()?.amountOut;
  batch(() => {
    [tokenIn.value, tokenOut.value] = [tokenOut.peek(), tokenIn.peek()];
    if (quoted !== undefined) amount.value = quoted;
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
function intentFor(ticketed: OrderBody, quote: Quote | null): Intent {
  const content = JSON.stringify(ticketed);
  if (intent && !intent.placed && intent.content === content) return intent;
  const body = boundBy(quote, ticketed);
  intent = { content, body, key: newKey(), placed: false, isOpen: false };
  return intent;
}

/** Send the ticket's order, for no less than `quote` promises. Returns whether it was accepted. */
export async function place(quote: Quote | null = shownQuote.peek()): Promise<boolean> {
  const ticketed = order.peek();
  if (!ticketed || sending.peek() !== "idle") return false;
  const sent = intentFor(ticketed, quote);
  sending.value = "sending";
  refusedFields.value = {};
  sendingProblem.value = null;
  try {
    const accepted = await api.execute(sent.body, sent.key);
    sent.placed = true;
    select(accepted.orderId, accepted.wsUrl);
    sending.value = "placed";
    setTimeout(() => (sending.value = "idle"), PLACED_MS);
    return true;
  } catch (error) {
    sending.value = "idle";
    refuse(error as Error, sent);
    return false;
  }
}

/** What the server says of the ticket's fields in a refusal. */
export function fieldsOf(error: Error | null): FieldErrors {
  const fields: FieldErrors = {};
  for (const one of error instanceof Refused ? (error.problem.errors ?? []) : []) {
    const field = FIELDS.find((name) => name === one.field);
    if (field) fields[field] = sentence(`${FIELD_NAMES[field]} ${one.message}`);
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
