import { useSignal } from "@preact/signals";
import { announce } from "./announcer";
import { api } from "./api";
import { keep } from "./orders_store";
import type { Order } from "./wire";

interface Cancelling {
  cancel: () => Promise<void>;
  busy: boolean;
  /** Why it can't be cancelled. */
  problem: Error | null;
}

/** Cancelling an order, once for however many clicks. */
export function useCancelling({ orderId }: Order, onDone?: () => void): Cancelling {
  const problem = useSignal<Error | null>(null);
  const busy = useSignal(false);
  async function cancel(): Promise<void> {
    if (busy.peek()) return;
    busy.value = true;
    problem.value = null;
    try {
      keep([await api.cancel(orderId)]);
      announce("Order cancelled.");
      onDone?.();
    } catch (error) {
      problem.value = error as Error;
    }
    busy.value = false;
  }
  return { cancel, busy: busy.value, problem: problem.value };
}
