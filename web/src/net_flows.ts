/** What fills leave of each token: received less paid. Pure, exact. */

import { type Decimal, minus, must, plus, times } from "./decimal";
import type { Fill } from "./wire";

export interface NetFlow {
  mint: string;
  token: string;
  received: Decimal;
  paid: Decimal;
  net: Decimal;
}

const ZERO = must("0");
const SOL = "So11111111111111111111111111111111111111112";

/** By token, in the order in which they come first; the network's fees are paid in SOL. */
export function netFlows(fills: readonly Fill[]): NetFlow[] {
  const flows = new Map<string, NetFlow>();
  const note = (mint: string, token: string, received: Decimal, paid: Decimal): void => {
    const flow = flows.get(mint) ?? { mint, token, received: ZERO, paid: ZERO, net: ZERO };
    const sums = { received: plus(flow.received, received), paid: plus(flow.paid, paid) };
    flows.set(mint, { mint, token: flow.token, ...sums, net: minus(sums.received, sums.paid) });
  };
  for (const fill of fills) {
    note(fill.mintIn, fill.tokenIn, ZERO, must(fill.amountIn));
    note(fill.mintOut, fill.tokenOut, must(fill.amountOut), ZERO);
    if (must(fill.networkFee).digits !== 0n) note(SOL, "SOL", ZERO, must(fill.networkFee));
  }
  return [...flows.values()];
}

/** What all that is worth at so much for a unit of each token; null where one that is left has no price. */
export function worth(flows: readonly NetFlow[], unitOf: (token: string) => Decimal | null): Decimal | null {
  let sum = ZERO;
  for (const { token, net } of flows) {
    if (net.digits === 0n) continue;
    const unit = unitOf(token);
    if (!unit) return null;
    sum = plus(sum, times(net, unit));
  }
  return sum;
}
