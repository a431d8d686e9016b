/** What the charts show, from orders. Floats from here on: they become pixels. */

import { toPixels } from "./decimal";
import { fillAgainstQuote, STEPS, type Step, timeByStep, timeTaken } from "./order";
import type { Order } from "./wire";

const SHOWN = 60;

export interface ChartedOrder {
  order: Order;
  /** The fill against the first quote, in basis points. */
  fill: number;
  seconds: Record<Step, number>;
  total: number;
}

/** The latest confirmed orders, oldest first. */
export function charted(newestFirst: readonly Order[]): ChartedOrder[] {
  const found: ChartedOrder[] = [];
  for (const order of newestFirst) {
    const fill = fillAgainstQuote(order);
    if (!fill) continue;
    const times = timeByStep(order);
    const seconds = Object.fromEntries(STEPS.map((step) => [step, times[step] / 1000])) as Record<Step, number>;
    found.push({ order, fill: toPixels(fill.basisPoints), seconds, total: timeTaken(order) / 1000 });
    if (found.length === SHOWN) break;
  }
  return found.reverse();
}

/** For each step, the sum of itself and the steps under it, order by order: the upper edges of stacked bars. */
export function stacked(orders: readonly ChartedOrder[]): number[][] {
  const sums = orders.map(() => 0);
  return STEPS.map((step) => orders.map(({ seconds }, index) => (sums[index] = (sums[index] ?? 0) + seconds[step])));
}

/** The value that so large a part (0…1) of the values doesn't exceed. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
}
