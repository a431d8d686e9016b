/** The server's clock, as far as it can be told from its answers: this machine's own may be wrong by minutes. */

let aheadMs = 0;

/** Learn from an answer that says when it was made, and how long ago that was. */
export function noteServerTime({ at, ageMs }: { at: string; ageMs: number }): void {
  aheadMs = Date.parse(at) + ageMs - Date.now();
}

/** Milliseconds since the epoch, there. */
export function serverNow(): number {
  return Date.now() + aheadMs;
}
