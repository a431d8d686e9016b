/** The ticket as it was typed, for as long as the tab is open: a reload finds it again. */

import type { TypedTerms } from "./order_terms";

export interface KeptTicket extends TypedTerms {
  tokenIn: string;
  tokenOut: string;
  amount: string;
  kind: string;
  stopBy: string;
}

const KEY = "fillrate.ticket";
export const FIRST_TICKET: KeptTicket = {
  tokenIn: "SOL",
  tokenOut: "USDC",
  amount: "1",
  kind: "market",
  stopBy: "stopPrice",
  limitPrice: "",
  stopPrice: "",
  trailing: "5",
  slippage: "1",
  minOut: "",
  maxTries: "",
  expiresAt: "",
};

/** What was kept, as far as it is a ticket's. */
export function keptTicket(): KeptTicket {
  const found = { ...FIRST_TICKET };
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? "{}") as Record<string, unknown>;
    for (const name of Object.keys(found) as (keyof KeptTicket)[]) {
      const value = stored[name];
      if (typeof value === "string" && value.length <= 64) found[name] = value;
    }
  } catch {
    // what is there was not written by this page
  }
  return found;
}

export function keep(ticket: KeptTicket): void {
  sessionStorage.setItem(KEY, JSON.stringify(ticket));
}
