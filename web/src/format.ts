/** How amounts, times and addresses look. Text in, text out: see decimal.ts for why. */

import { type Decimal, must, rounded, shift, significant, toText } from "./decimal";
import type { Difference } from "./order";

/** "1234567.5" as "1,234,567.5", every digit kept. */
export function grouped(text: string): string {
  const [whole = "", fraction] = text.split(".");
  const separated = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? separated : `${separated}.${fraction}`;
}

/** An amount of a token, whole and exact. */
export function amount(text: string, token: string): string {
  return `${grouped(text)} ${tokenName(token)}`;
}

/** An amount to nine digits, its whole part kept: for tables. The exact one belongs into a title beside it. */
export function roundedAmount(text: string, token: string): string {
  return amount(toText(significant(must(text), 9)), token);
}

/** About how much: to so many decimals. */
export function about(value: Decimal, places: number): string {
  return grouped(toText(rounded(value, places)));
}

/** A price to eight significant digits: what is read. The exact one belongs into a title beside it. */
export function price(text: string): string {
  return grouped(toText(significant(must(text), 8)));
}

/** A fraction such as "0.004175" as "0.42 %": rounded to two decimals, or "< 0.01 %". */
export function percent(fraction: string): string {
  const value = shift(must(fraction), 2);
  if (value.digits === 0n) return "0 %";
  const shown = rounded(value, 2);
  if (shown.digits === 0n) return value.digits < 0n ? "> −0.01 %" : "< 0.01 %";
  return `${minus(toText(shown))} %`;
}

/** The same with both decimals, for numbers that stand under one another: "0.20 %". */
export function evenPercent(fraction: string): string {
  const text = percent(fraction);
  const match = /^(−?\d+)(?:\.(\d+))? %$/.exec(text);
  return match ? `${match[1]}.${(match[2] ?? "").padEnd(2, "0")} %` : text;
}

/** Basis points with their sign: "+0.31", "−1,012.5", "0". */
export function signed(value: Decimal): string {
  const text = grouped(toText(value));
  return value.digits > 0n ? `+${text}` : minus(text);
}

const ONE_PERCENT = 100n;

/** Basis points as they are read: "+0.31 bps", and what is a percent or more as "−33.42 %". */
export function signedShare(basisPoints: Decimal): string {
  const size = basisPoints.digits < 0n ? -basisPoints.digits : basisPoints.digits;
  if (size < ONE_PERCENT * 10n ** BigInt(basisPoints.scale)) return `${signed(basisPoints)} bps`;
  return `${signed(rounded(shift(basisPoints, -2), 2))} %`;
}

/** A difference in basis points; one too small for two decimals still shows its direction: "< +0.01 bps". */
export function bps({ tokens, basisPoints }: Difference): string {
  if (basisPoints.digits !== 0n || tokens.digits === 0n) return signedShare(basisPoints);
  return tokens.digits > 0n ? "< +0.01 bps" : "> −0.01 bps";
}

/** A difference to the last unit, with its share: "−0.000001 USDC (−0.02 bps)"; `equal` where there is none. */
export function exactDifference(found: Difference, token: string, equal: string): string {
  if (found.tokens.digits === 0n) return equal;
  return `${signed(found.tokens)} ${tokenName(token)} (${bps(found)})`;
}

/** A duration of whole milliseconds: "84 ms", "1.24 s", "2 min 5 s", "3 h 20 min", "2 d 4 h". */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 59_995) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The time of day, to the second, on the reader's clock; with the date where that isn't today. */
export function clock(rfc3339: string, now = new Date()): string {
  const at = new Date(rfc3339);
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  if (at.toDateString() === now.toDateString()) return time;
  return `${at.toLocaleDateString([], { day: "numeric", month: "short" })} ${time}`;
}

/** A long address or signature by its ends. */
export function shortened(address: string): string {
  return address.length > 12 ? `${address.slice(0, 4)}…${address.slice(-4)}` : address;
}

/** A token as it is named: its symbol, or its mint by its ends. */
export function tokenName(token: string): string {
  return token.length > 16 ? shortened(token) : token;
}

/** An exchange as it is named: "raydium" is Raydium. */
export function exchangeName(dex: string): string {
  return dex.charAt(0).toUpperCase() + dex.slice(1);
}

/** A pool's venue as it is named: "raydium-amm-v4" is Raydium AMM v4. Old orders tell the exchange alone. */
export function venueName({ dex, program = dex }: { dex: string; program?: string }): string {
  const [house = "", ...words] = program.split("-");
  return [exchangeName(house), ...words.map((word) => (/^v\d/.test(word) ? word : word.toUpperCase()))].join(" ");
}

function minus(text: string): string {
  return text.replace("-", "−");
}
