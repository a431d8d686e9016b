/**
 * The terms that an order of each type has beside its tokens and its amount: what is wrong with them as they are typed,
 * and how they are sent. Pure.
 */

import { compare, must, parse, shift, toText } from "./decimal";
import { leastAt } from "./waiting_prices";
import type { Order, OrderBody, OrderChanges } from "./wire";

export const TERMS = ["limitPrice", "stopPrice", "trailing", "slippage", "minOut", "maxTries", "expiresAt"] as const;
export type Term = (typeof TERMS)[number];

/** `slippage` and `trailing` in percent; `expiresAt` in seconds from now, or as a local time; "" is left out. */
export type TypedTerms = Record<Term, string>;

/** Where a stop is: at a price, or so much below the best one seen. */
export type StopBy = "stopPrice" | "trailing";

/** A token's name and how many decimals it has, null where that isn't known. */
export interface Unit {
  name: string;
  decimals: number | null;
}

const ZERO = must("0");
const MOST_SLIPPAGE = must("50");
const MOST_TRAILING = must("99.9999");
const MOST_TRIES = 30;
const MOST_CHARACTERS = 64;
const PERCENT_DECIMALS = 4;
const DAY_MS = 86_400_000;
const LONGEST_MS = 30 * DAY_MS;
// The two clocks may differ: thirty days are asked for a minute short.
const CLOCKS_APART_MS = 60_000;

/** The terms of a new order, in the order in which they are asked for. */
export function termsOf(type: OrderBody["type"], stopBy: StopBy): Term[] {
  if (type === "market") return ["slippage"];
  const more: Term[] = ["expiresAt", "minOut", "maxTries"];
  if (type === "limit") return ["limitPrice", ...more];
  return [...(type === "oco" ? (["limitPrice"] as const) : []), stopBy, "slippage", ...more];
}

/** What is wrong with an amount of a token. */
export function amountError(text: string, { name, decimals }: Unit): string | null {
  const value = parse(text);
  if (!value) return "Write the amount in digits with a point, such as 1000.5";
  if (compare(value, ZERO) <= 0) return "The amount must be above zero.";
  const used = decimalsIn(text);
  return decimals !== null && used > decimals ? `${name} has ${decimals} decimals, this has ${used}.` : null;
}

function priceError(text: string): string | null {
  if (!text.trim()) return "Enter a price.";
  if (text.trim().length > MOST_CHARACTERS) return `At most ${MOST_CHARACTERS} characters.`;
  const value = parse(text);
  if (!value) return "Write the price in digits with a point, such as 152.3";
  return compare(value, ZERO) <= 0 ? "The price must be above zero." : null;
}

function slippageError(text: string): string | null {
  const value = parse(text);
  if (!value) return "Write a percentage, such as 0.5";
  if (compare(value, ZERO) < 0 || compare(value, MOST_SLIPPAGE) > 0) return "Slippage can be 0 to 50 %.";
  return fineness(text);
}

function trailingError(text: string): string | null {
  const value = parse(text);
  if (!value) return "Write a percentage, such as 5";
  if (compare(value, ZERO) <= 0 || compare(value, MOST_TRAILING) > 0) return "It must be above 0 and below 100 %.";
  return fineness(text);
}

/** The service counts fractions in millionths. */
function fineness(percent: string): string | null {
  return decimalsIn(percent) > PERCENT_DECIMALS ? `At most ${PERCENT_DECIMALS} decimals.` : null;
}

function deadlineError(text: string, nowMs: number): string | null {
  const at = Date.parse(deadline(text, nowMs) ?? "");
  if (!text) return null;
  if (Number.isNaN(at)) return "Choose a day and a time.";
  if (at <= nowMs) return "That is over already.";
  return at > nowMs + LONGEST_MS ? "An order waits for 30 days at most." : null;
}

function termError(term: Term, text: string, out: Unit, nowMs: number): string | null {
  switch (term) {
    case "limitPrice":
    case "stopPrice":
      return priceError(text);
    case "slippage":
      return slippageError(text);
    case "trailing":
      return trailingError(text);
    case "minOut":
      return text.trim() ? amountError(text, out) : null;
    case "maxTries":
      return !text.trim() || (/^\d{1,2}$/.test(text.trim()) && +text >= 1 && +text <= MOST_TRIES)
        ? null
        : `A whole number from 1 to ${MOST_TRIES}.`;
    case "expiresAt":
      return deadlineError(text, nowMs);
  }
}

/** What is wrong with these terms; `out` is the token that is received. */
export function termErrors(
  terms: readonly Term[],
  typed: TypedTerms,
  out: Unit,
  nowMs: number,
): Partial<Record<Term, string>> {
  const found: Partial<Record<Term, string>> = {};
  for (const term of terms) {
    const wrong = termError(term, typed[term], out, nowMs);
    if (wrong) found[term] = wrong;
  }
  const isBoth = terms.includes("limitPrice") && terms.includes("stopPrice");
  if (isBoth && !found.limitPrice && !found.stopPrice && compare(must(typed.limitPrice), must(typed.stopPrice)) <= 0) {
    found.limitPrice = "The limit price must be above the stop price.";
    found.stopPrice = "The stop price must be below the limit price.";
  }
  return found;
}

/** A percentage as the fraction that is sent. */
export function fraction(percent: string): string {
  return toText(shift(must(percent), -2));
}

/** When a deadline is, as it is sent; nothing where the service's own holds. Not a time at all: the text itself. */
export function deadline(text: string, nowMs: number): string | undefined {
  if (!text) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? nowMs + Math.min(+text * 1000, LONGEST_MS - CLOCKS_APART_MS) : Date.parse(text);
  return Number.isNaN(ms) ? text : new Date(ms).toISOString();
}

/** Terms as they are sent, but for the deadline. */
export type SentTerms = Partial<Record<Exclude<Term, "maxTries" | "expiresAt">, string>> & { maxTries?: number };

/** These terms as they are sent, all of which must be right; a deadline is left out. */
export function sentTerms(terms: readonly Term[], typed: TypedTerms): SentTerms {
  const sent: SentTerms = {};
  for (const term of terms) {
    const text = typed[term].trim();
    if (!text || term === "expiresAt") continue;
    if (term === "maxTries") sent.maxTries = +text;
    else sent[term] = term === "slippage" || term === "trailing" ? fraction(text) : toText(must(text));
  }
  return sent;
}

/** The order's terms as they would be typed. `expiresAt` is "": what it is stays. */
export function typedTerms(order: Order, decimalsOut: number | null): TypedTerms {
  const percent = (text: string | undefined): string => (text === undefined ? "" : toText(shift(must(text), 2)));
  return {
    limitPrice: order.limitPrice ?? "",
    stopPrice: order.trailing === undefined ? (order.stopPrice ?? "") : "",
    trailing: percent(order.trailing),
    slippage: percent(order.slippage),
    minOut: ownMinOut(order, decimalsOut) ?? "",
    maxTries: "",
    expiresAt: "",
  };
}

/** The least that its client asks for: a limit order's floor may be its price's alone. */
function ownMinOut({ type, amount, limitPrice, minOut }: Order, decimalsOut: number | null): string | undefined {
  if (type !== "limit" || minOut === undefined || limitPrice === undefined) return minOut;
  const ofPrice = leastAt(must(amount), must(limitPrice), decimalsOut ?? 9);
  return compare(must(minOut), ofPrice) > 0 ? minOut : undefined;
}

/** What is to be sent to change an order's terms from `before` to `after`, both right; empty where nothing changes. */
export function changes(terms: readonly Term[], before: TypedTerms, after: TypedTerms, nowMs: number): OrderChanges {
  const differs = terms.filter((term) => !isSame(before[term], after[term]));
  const { maxTries: _maxTries, ...found } = sentTerms(differs, after);
  const sent: OrderChanges = found;
  if (differs.includes("minOut") && !after.minOut.trim()) sent.minOut = null;
  const until = differs.includes("expiresAt") ? deadline(after.expiresAt, nowMs) : undefined;
  if (until !== undefined) sent.expiresAt = until;
  return sent;
}

function isSame(left: string, right: string): boolean {
  const [a, b] = [parse(left), parse(right)];
  return a && b ? compare(a, b) === 0 : left.trim() === right.trim();
}

function decimalsIn(text: string): number {
  return toText(must(text)).split(".")[1]?.length ?? 0;
}
