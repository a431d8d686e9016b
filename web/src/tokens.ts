/** The tokens that can be traded. */

import { computed, effect, signal } from "@preact/signals";
import { api, apiKey } from "./api";
import { tokenName } from "./format";
import type { Pair } from "./price_words";
import { recoveries } from "./reachability";
import type { Token } from "./wire";

export const tokens = signal<Token[]>([]);
export const tokensProblem = signal<Error | null>(null);

/** How the API knows a token: by its symbol, or by its mint where it has none of its own. */
export function idOf(token: Token): string {
  return token.symbol ?? token.mint;
}

const idByMint = computed(() => new Map(tokens.value.map((token) => [token.mint, idOf(token)])));

/** One name for a token, whether an order named it by symbol or by mint. */
export function canonical(token: string): string {
  return idByMint.value.get(token) ?? token;
}

/** What a token is called where it is read. */
export function nameOf(token: string): string {
  return tokenName(canonical(token));
}

/** What the tokens of a pair are called. */
export function namesOf({ tokenIn, tokenOut }: Pair): Pair {
  return { tokenIn: nameOf(tokenIn), tokenOut: nameOf(tokenOut) };
}

const byId = computed(() => new Map(tokens.value.map((token) => [idOf(token), token])));

/** All that is known of a token. */
export function tokenOf(token: string): Token | undefined {
  return byId.value.get(canonical(token));
}

export function decimalsOf(token: string): number | null {
  return tokenOf(token)?.decimals ?? null;
}

/** Whether wallets show the token's amounts multiplied, which no amount here is. */
export function isShownScaled(token: string): boolean {
  return tokenOf(token)?.scaledUi === true;
}

export function keepTokens(): void {
  effect(() => {
    void apiKey.value;
    void recoveries.value;
    api.tokens().then(
      (found) => {
        tokens.value = found;
        tokensProblem.value = null;
      },
      (error: Error) => (tokensProblem.value = error),
    );
  });
}
