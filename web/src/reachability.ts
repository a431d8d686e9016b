/** Whether the API answers. While it doesn't, it is asked again by itself, less often each time. */

import { signal } from "@preact/signals";
import type { Health } from "./wire";

export const online = signal(true);
/** When it is asked next while it doesn't answer, in this machine's milliseconds. */
export const nextTryAt = signal(0);
/** How often it came back: who shows what the server said looks again when this changes. */
export const recoveries = signal(0);
export const health = signal<Health | null>(null);

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10_000;
/** So that what happened is on the page within five seconds; one that nobody sees has time. */
const VISIBLE_PAUSE_MS = 2_000;
const HIDDEN_PAUSE_MS = 15_000;
const TOO_MANY = 429;
const PATIENCE_MS = 5_000;

let pause = FIRST_PAUSE_MS;
let timer: number | undefined;

export function reached(): void {
  if (online.peek()) return;
  pause = FIRST_PAUSE_MS;
  online.value = true;
  recoveries.value++;
  schedule(0);
}

export function unreached(): void {
  if (!online.peek()) return;
  online.value = false;
  schedule(pause);
}

/** Ask now, and from now on. */
export async function look(): Promise<void> {
  try {
    const response = await fetch(new URL("health", document.baseURI), {
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (response.status !== TOO_MANY) health.value = (await response.json()) as Health;
    reached();
    schedule(document.hidden ? HIDDEN_PAUSE_MS : VISIBLE_PAUSE_MS);
  } catch {
    if (online.peek()) return unreached();
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    schedule(pause);
  }
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && online.peek()) schedule(0);
});

function schedule(ms: number): void {
  clearTimeout(timer);
  nextTryAt.value = Date.now() + ms;
  timer = window.setTimeout(() => void look(), ms);
}
