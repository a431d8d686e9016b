/** What a screen reader is told without being asked: the selected order's steps, and what happened to a click. */

import { effect, signal } from "@preact/signals";
import type { JSX } from "preact";
import { inPlainWords } from "./errors";
import { amount } from "./format";
import { isEnded, lastStep } from "./order";
import { selectedOrder } from "./selection";
import { STATUS_WORDS } from "./status_texts";
import type { Order } from "./wire";

const announcement = signal("");

export function announce(text: string): void {
  announcement.value = text;
}

function told(order: Order): string {
  const last = lastStep(order);
  if (order.status === "confirmed" && order.amountOut)
    return `Order confirmed: received ${amount(order.amountOut, order.tokenOut)}.`;
  if (order.status === "failed") {
    const { what, todo } = inPlainWords(last?.errorCode, last?.error);
    return isEnded(order)
      ? `Order failed. ${what} ${todo}`
      : `Attempt ${order.retryCount} failed. ${what} It will be retried.`;
  }
  return `Order: ${STATUS_WORDS[order.status].now}.`;
}

/** Tell each new step of the selected order; the steps of one just opened are there to be read. */
export function announceSteps(): void {
  let before: { orderId: string; seq: number } | null = null;
  effect(() => {
    const order = selectedOrder.value;
    const seq = order ? (lastStep(order)?.seq ?? 0) : 0;
    if (order && before?.orderId === order.orderId && seq > before.seq) announce(told(order));
    before = order ? { orderId: order.orderId, seq } : null;
  });
}

export function Announcer(): JSX.Element {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {announcement.value}
    </div>
  );
}
