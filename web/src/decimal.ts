/** Exact decimals: digits as a bigint and how many of them stand after the point. Money never becomes a float here. */

export interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

const PLAIN = /^([+-]?)(\d+)(?:\.(\d*))?$|^([+-]?)\.(\d+)$/;

/** The decimal in `text`, such as "10.5" or ".5"; null for anything else (exponents and separators too). */
export function parse(text: string): Decimal | null {
  const match = PLAIN.exec(text.trim());
  if (!match) return null;
  const sign = (match[1] ?? match[4]) === "-" ? -1n : 1n;
  const whole = match[2] ?? "0";
  const fraction = match[3] ?? match[5] ?? "";
  return { digits: sign * BigInt(whole + fraction), scale: fraction.length };
}

/** Like `parse`, for what the server wrote. Throws where that is no decimal: then nothing may be shown as money. */
export function must(text: string): Decimal {
  const value = parse(text);
  if (!value) throw new RangeError(`not a decimal: ${text}`);
  return value;
}

/** The plain text of a decimal, without trailing zeros. */
export function toText({ digits, scale }: Decimal): string {
  const negative = digits < 0n;
  const padded = (negative ? -digits : digits).toString().padStart(scale + 1, "0");
  const whole = padded.slice(0, padded.length - scale);
  const fraction = padded.slice(padded.length - scale).replace(/0+$/, "");
  const text = fraction ? `${whole}.${fraction}` : whole;
  return negative && digits !== 0n ? `-${text}` : text;
}

/** `value` × 10^places, exactly: what turns a percentage into a fraction (-2) and back (2). */
export function shift(value: Decimal, places: number): Decimal {
  const scale = value.scale - places;
  return scale >= 0 ? { digits: value.digits, scale } : { digits: value.digits * 10n ** BigInt(-scale), scale: 0 };
}

/** Negative, zero or positive, as `left` is less than, equal to or greater than `right`. */
export function compare(left: Decimal, right: Decimal): number {
  const [a, b] = aligned(left, right);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `left` − `right`, exactly. */
export function minus(left: Decimal, right: Decimal): Decimal {
  const [a, b] = aligned(left, right);
  return { digits: a - b, scale: Math.max(left.scale, right.scale) };
}

/** `left` + `right`, exactly. */
export function plus(left: Decimal, right: Decimal): Decimal {
  const [a, b] = aligned(left, right);
  return { digits: a + b, scale: Math.max(left.scale, right.scale) };
}

/** `left` × `right`, exactly. */
export function times(left: Decimal, right: Decimal): Decimal {
  return { digits: left.digits * right.digits, scale: left.scale + right.scale };
}

/** `dividend` ÷ `divisor` to so many decimals, half away from zero. Throws a RangeError over zero. */
export function quotient(dividend: Decimal, divisor: Decimal, places: number): Decimal {
  const [a, b] = aligned(dividend, divisor);
  return { digits: divideRounded(a * 10n ** BigInt(places), b), scale: places };
}

/** `value` cut off after so many decimals, towards zero. */
export function cut(value: Decimal, places: number): Decimal {
  const excess = value.scale - places;
  return excess > 0 ? { digits: value.digits / 10n ** BigInt(excess), scale: places } : value;
}

/** How far `actual` is from `reference`, in basis points rounded to hundredths (half away from zero); null over zero. */
export function basisPoints(actual: Decimal, reference: Decimal): Decimal | null {
  const [a, b] = aligned(actual, reference);
  if (b === 0n) return null;
  return { digits: divideRounded((a - b) * 1_000_000n, b), scale: 2 };
}

/** `value` rounded (half away from zero) to so many decimals. */
export function rounded(value: Decimal, places: number): Decimal {
  const excess = value.scale - places;
  return excess > 0 ? { digits: divideRounded(value.digits, 10n ** BigInt(excess)), scale: places } : value;
}

/** `value` rounded to so many significant digits; its whole part is always kept. */
export function significant(value: Decimal, places: number): Decimal {
  const size = (value.digits < 0n ? -value.digits : value.digits).toString().length;
  return rounded(value, Math.max(0, value.scale - Math.max(0, size - places)));
}

/** A float, for the pixels of a chart and for nothing else. */
export function toPixels(value: Decimal): number {
  return Number(toText(value));
}

function aligned(left: Decimal, right: Decimal): [bigint, bigint] {
  const scale = Math.max(left.scale, right.scale);
  return [left.digits * 10n ** BigInt(scale - left.scale), right.digits * 10n ** BigInt(scale - right.scale)];
}

function divideRounded(numerator: bigint, denominator: bigint): bigint {
  const negative = numerator < 0n !== denominator < 0n;
  const [n, d] = [numerator < 0n ? -numerator : numerator, denominator < 0n ? -denominator : denominator];
  const rounded = (2n * n + d) / (2n * d);
  return negative ? -rounded : rounded;
}
