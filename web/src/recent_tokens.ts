/** The tokens that were chosen lately, on this machine. */

import { signal } from "@preact/signals";

const KEY = "fillrate.recentTokens";
const KEPT = 5;

function stored(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((one): one is string => typeof one === "string").slice(0, KEPT) : [];
  } catch {
    return [];
  }
}

export const recentTokens = signal<readonly string[]>(stored());

export function noteChoice(token: string): void {
  recentTokens.value = [token, ...recentTokens.peek().filter((one) => one !== token)].slice(0, KEPT);
  localStorage.setItem(KEY, JSON.stringify(recentTokens.peek()));
}
