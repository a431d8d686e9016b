/** What the wallet holds, asked for every few seconds while somebody looks, and at once after a fill. */

import { computed, effect, signal } from "@preact/signals";
import { api, apiKey, Refused } from "./api";
import { unitValue } from "./cost";
import type { Decimal } from "./decimal";
import { codeOf } from "./errors";
import { all } from "./orders_store";
import { online, recoveries } from "./reachability";
import { canonical } from "./tokens";
import type { Balance, BalanceList } from "./wire";

const EVERY_MS = 5_000;

/** Null until it is known, and where this stage doesn't tell its wallet. */
export const balances = signal<BalanceList | null>(null);

const byToken = computed(() => new Map(balances.value?.balances.map((one) => [one.token, one])));

/** Of a token by its symbol or mint; undefined while it isn't known. */
export function balanceOf(token: string): Balance | undefined {
  return byToken.value.get(canonical(token));
}

/** What one whole token is worth in the reference currency, where it is held and priced. */
export function unitValueOf(token: string): Decimal | null {
  const held = balanceOf(token);
  return held ? unitValue(held.amount, held.value) : null;
}

const filled = computed(() => {
  let count = 0;
  for (const order of all()) if (order.status === "confirmed") count++;
  return count;
});

export function keepBalances(): void {
  let asking = false;
  /** A stage that can't tell its wallet can't tell it later either. */
  let offered = true;
  async function ask(): Promise<void> {
    if (asking || !offered || document.visibilityState !== "visible" || !online.peek()) return;
    asking = true;
    try {
      balances.value = await api.balances();
    } catch (error) {
      // the amounts are only a help: what keeps orders from being placed is told elsewhere
      balances.value = null;
      offered = !(error instanceof Refused && codeOf(error.problem) === "WALLET_UNAVAILABLE");
    }
    asking = false;
  }
  effect(() => {
    void apiKey.value;
    void recoveries.value;
    void filled.value;
    void ask();
  });
  setInterval(() => void ask(), EVERY_MS);
  document.addEventListener("visibilitychange", () => void ask());
}
