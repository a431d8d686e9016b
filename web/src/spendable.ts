/** How much of a balance an order can sell: what rent and fees take of SOL is kept back. Pure, exact. */

import { type Decimal, compare, cut, minus, must, quotient, times } from "./decimal";
import type { Balance } from "./wire";

const ZERO = must("0");
// Rent counts 128 bytes besides an account's own: of an empty account, and of a token account with its 165.
const TOKEN_ACCOUNT_TO_EMPTY = quotient(must("293"), must("128"), 9);
// The account that wraps SOL for the swap, and the one that a token is received in for the first time.
const ACCOUNTS_OPENED = must("2");
// The most that one transaction may cost by default: 2,800,000 lamports of priority fee and tip, and its signature's.
const FEES = must("0.003");

/** The most that can be sold of what the wallet holds, in whole tokens. */
export function mostOf(balance: Balance): Decimal {
  const held = must(balance.amount);
  if (balance.free === undefined) return held;
  const rent = minus(held, must(balance.free));
  const kept = times(times(rent, TOKEN_ACCOUNT_TO_EMPTY), ACCOUNTS_OPENED);
  const left = minus(minus(must(balance.free), kept), FEES);
  return compare(left, ZERO) > 0 ? left : ZERO;
}

/** Half of that, cut to what the token can be divided into. */
export function halfOf(balance: Balance, decimals: number): Decimal {
  return cut(times(mostOf(balance), must("0.5")), decimals);
}
