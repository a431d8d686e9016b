/**
 * Whether a stream of quotes is alive. It tells a quote only when that changes, so a market at rest sounds like a broken
 * stream: after a silence the wish is said again, which is always answered, and where it isn't the page asks by itself.
 */

/** Times on the page's monotonic clock; -Infinity where it never was. */
export interface Pulse {
  /** When the wish was said last. */
  askedAt: number;
  /** When a quote, or why there is none, was heard last. */
  heardAt: number;
}

export const NO_PULSE: Pulse = { askedAt: Number.NEGATIVE_INFINITY, heardAt: Number.NEGATIVE_INFINITY };

const ASK_AGAIN_MS = 2_000;
/** A look comes each second, and an answer with it. */
const ANSWERED_MS = 2_000;

/** What to do now: nothing, say the wish again, or ask in another way besides, until the stream is heard again. */
export function treatment({ askedAt, heardAt }: Pulse, now: number): "wait" | "ask" | "poll" {
  if (heardAt >= askedAt) return now - heardAt >= ASK_AGAIN_MS ? "ask" : "wait";
  return now - askedAt >= ANSWERED_MS ? "poll" : "wait";
}
