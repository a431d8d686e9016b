/** Every order that the page knows. Changes are shown together, a few times a second, however many come. */

import { signal } from "@preact/signals";
import { apply, mayBeChange, newer } from "./order";
import type { Order, StatusMessage } from "./wire";

const PAUSE_MS = 60;

const known = new Map<string, Order>();
let due = false;

/** Counts what was shown anew; whoever reads orders in a computation reads this first. */
export const version = signal(0);

export function find(orderId: string): Order | undefined {
  void version.value;
  return known.get(orderId);
}

export function all(): Iterable<Order> {
  void version.value;
  return known.values();
}

/** Keep orders as the server tells them, unless a later step is known already. */
export function keep(orders: Iterable<Order>): void {
  for (const order of orders) {
    const present = known.get(order.orderId);
    known.set(order.orderId, present ? newer(present, order) : order);
  }
  show();
}

/** Take one message of a stream. "gap" and "unknown": the order must be asked for; "partly": it has more to tell. */
export function take(message: StatusMessage): "taken" | "partly" | "gap" | "unknown" {
  const order = known.get(message.orderId);
  if (!order) return "unknown";
  const applied = apply(order, message);
  if (applied === "gap") return "gap";
  if (applied !== "old") {
    known.set(order.orderId, applied.order);
    show();
    if (mayBeChange(order, message)) return "partly";
  }
  return "taken";
}

function show(): void {
  if (due) return;
  due = true;
  setTimeout(() => {
    due = false;
    version.value++;
  }, PAUSE_MS);
}
