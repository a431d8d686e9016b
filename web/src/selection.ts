/** The order that is looked at: its id is in the address (#order=…), so that a reload or a link shows it again. */

import { batch, computed, effect, signal } from "@preact/signals";
import { api, Refused } from "./api";
import { isEnded, isToldByOrderAlone } from "./order";
import { find, keep, take } from "./orders_store";
import { recoveries } from "./reachability";
import { stayConnected, type SocketState } from "./socket";

export const selectedId = signal(idInAddress());
export const selectedOrder = computed(() => (selectedId.value ? find(selectedId.value) : undefined));
/** Why the selected order can't be shown, if it can't. */
export const selectionProblem = signal<Refused | null>(null);
export const selectionStream = signal<SocketState>("connecting");

// What POST answered: an address with a ticket that is good for one connection.
const unusedAddresses = new Map<string, string>();

function idInAddress(): string {
  return new URLSearchParams(location.hash.slice(1)).get("order") ?? "";
}

export function addressOf(orderId: string): string {
  return `#${new URLSearchParams({ order: orderId })}`;
}

/** Look at an order; `wsUrl`, if its answer brought one, is used for the first connection. */
export function select(orderId: string, wsUrl?: string): void {
  if (wsUrl) unusedAddresses.set(orderId, wsUrl);
  if (orderId) location.hash = addressOf(orderId);
  else history.pushState(null, "", location.pathname + location.search);
  selectedId.value = orderId;
}

/** Counts the orders that were opened from the table: the focus goes to them. */
export const openings = signal(0);

export function open(orderId: string): void {
  batch(() => {
    select(orderId);
    openings.value++;
  });
}

/** Open the order that a link leads to; a click that wants a new tab or window keeps its own way. */
export function openByLink(event: MouseEvent, orderId: string): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  open(orderId);
}

/** Read an order and where to follow it. */
export async function refresh(orderId: string): Promise<string | null> {
  const order = await api.order(orderId);
  keep([order]);
  return isEnded(order) ? null : (order.wsUrl ?? null);
}

async function addressFor(orderId: string): Promise<string | null> {
  const unused = unusedAddresses.get(orderId);
  unusedAddresses.delete(orderId);
  try {
    if (!unused) return await refresh(orderId);
    void refresh(orderId).catch(() => undefined);
    return unused;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) {
      selectionProblem.value = error;
      return null;
    }
    throw error;
  }
}

function follow(orderId: string): () => void {
  selectionProblem.value = null;
  return stayConnected({
    address: () => addressFor(orderId),
    onMessage: (message) => {
      if (take(message) !== "taken" || isToldByOrderAlone(message)) void refresh(orderId).catch(() => undefined);
    },
    onState: (state) => (selectionStream.value = state),
  });
}

/** Follow whatever is selected, and follow it anew when the server is back. */
export function followSelection(): void {
  window.addEventListener("hashchange", () => (selectedId.value = idInAddress()));
  window.addEventListener("popstate", () => (selectedId.value = idInAddress()));
  effect(() => {
    const orderId = selectedId.value;
    void recoveries.value;
    return orderId ? follow(orderId) : undefined;
  });
}
