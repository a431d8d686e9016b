/** An order and its changes. Pure: a message comes twice, late or out of order, and the order stays right. */

import { basisPoints, minus, must, type Decimal } from "./decimal";
import type { HistoryStep, Order, StatusMessage } from "./wire";

export type Applied = { order: Order } | "old" | "gap";

/** What is a step's alone; the rest of it is what the order has come to. */
const OF_THE_STEP = {
  seq: true,
  at: true,
  terminal: true,
  retryInMs: true,
  queuedUntil: true,
} satisfies Record<Exclude<keyof HistoryStep, keyof Order>, true>;

/** What the page calls an order: a trailing stop is a stop whose price follows the market's. */
export const KINDS = ["market", "limit", "stop", "trailing", "oco"] as const;
export type Kind = (typeof KINDS)[number];

export function kindOf({ type, trailing }: Pick<Order, "type" | "trailing">): Kind {
  return type === "stop" && trailing !== undefined ? "trailing" : type;
}

export function lastStep(order: Order): HistoryStep | undefined {
  return order.history[order.history.length - 1];
}

/** Whether nothing more will happen to it. */
export function isEnded(order: Order): boolean {
  const last = lastStep(order);
  return (
    order.status === "confirmed" ||
    order.status === "cancelled" ||
    order.status === "expired" ||
    (order.status === "failed" && last?.terminal === true)
  );
}

/** The order after `message`; "old" where it has that step already, "gap" where one before it is missing. */
export function apply(order: Order, message: StatusMessage): Applied {
  const known = lastStep(order)?.seq ?? 0;
  if (message.seq <= known) return "old";
  if (message.seq > known + 1) return "gap";
  const { type: _type, orderId: _orderId, ...step } = message;
  const next: Order = { ...order, updatedAt: step.at, history: [...order.history, step] };
  // A new attempt chooses anew, above the same floor; a fill clears what went wrong before it.
  if (step.status === "routing")
    for (const name of ["route", "dexUsed", "quotedOut", "quotes", "txHash", "explorerUrl"] as const) delete next[name];
  if (step.status === "confirmed") for (const name of ["error", "errorCode"] as const) delete next[name];
  // One that waits tells all of its prices; what it doesn't tell is no more.
  if (step.status === "open")
    for (const name of ["limitPrice", "stopPrice", "trailing", "minOut", "trigger"] as const) delete next[name];
  for (const [name, value] of Object.entries(step)) if (!(name in OF_THE_STEP)) Object.assign(next, { [name]: value });
  return { order: next };
}

/** Whether the order has come to something with this step that no step tells: what each pool offered, what it cost. */
export function isToldByOrderAlone(step: HistoryStep): boolean {
  return step.status === "building" || step.status === "failed" || step.status === "confirmed";
}

/** Whether the step may be a change by its client, whose slippage and deadline no step tells. */
export function mayBeChange(before: Order, step: HistoryStep): boolean {
  if (step.status !== "open" || before.status !== "open" || step.trigger) return false;
  const isFollowing =
    step.trailing !== undefined &&
    step.trailing === before.trailing &&
    step.limitPrice === before.limitPrice &&
    step.stopPrice !== before.stopPrice;
  return !isFollowing;
}

/** Whether its client may still change it. */
export function isChangeable(order: Order): boolean {
  return order.type !== "market" && order.status === "open" && !order.trigger;
}

/** Of two copies of one order, the one that knows more. */
export function newer(left: Order, right: Order): Order {
  return (lastStep(right)?.seq ?? 0) >= (lastStep(left)?.seq ?? 0) ? right : left;
}

/** Its place in a list, newest first. */
export function compareNewestFirst(left: Order, right: Order): number {
  if (left.createdAt !== right.createdAt) return left.createdAt < right.createdAt ? 1 : -1;
  return left.orderId < right.orderId ? 1 : left.orderId > right.orderId ? -1 : 0;
}

/** How much more was received than `reference`, exactly in whole tokens, and in basis points of it. */
export interface Difference {
  tokens: Decimal;
  basisPoints: Decimal;
}

function difference(actual: string, reference: string): Difference | null {
  const [received, expected] = [must(actual), must(reference)];
  const share = basisPoints(received, expected);
  return share && { tokens: minus(received, expected), basisPoints: share };
}

/** What the order's first attempt was quoted; later attempts quote anew, and what was agreed to is the first. */
export function firstQuotedOut(order: Order): string | undefined {
  return order.history.find((change) => change.quotedOut !== undefined)?.quotedOut ?? order.quotedOut;
}

/** The fill against the order's first quote: positive is better than quoted. */
export function fillAgainstQuote(order: Order): Difference | null {
  const quoted = firstQuotedOut(order);
  return order.status === "confirmed" && order.amountOut && quoted ? difference(order.amountOut, quoted) : null;
}

/** The fill against the order's floor: never negative. */
export function fillAgainstFloor(order: Order): Difference | null {
  return order.status === "confirmed" && order.amountOut && order.minOut
    ? difference(order.amountOut, order.minOut)
    : null;
}

/** Whether it can be cancelled: until a transaction of it is signed, also between two attempts. */
export function isCancellable(order: Order): boolean {
  return !isEnded(order) && order.status !== "submitted";
}

export type Step = "waiting" | "routing" | "building" | "confirming" | "retrying";

export const STEPS: readonly Step[] = ["waiting", "routing", "building", "confirming", "retrying"];

const STEP_OF: Partial<Record<HistoryStep["status"], Step>> = {
  pending: "waiting",
  routing: "routing",
  building: "building",
  submitted: "confirming",
  failed: "retrying",
};

/** How many milliseconds the order spent in each step, all attempts together. */
export function timeByStep(order: Order): Record<Step, number> {
  const times: Record<Step, number> = { waiting: 0, routing: 0, building: 0, confirming: 0, retrying: 0 };
  order.history.forEach((change, index) => {
    const next = order.history[index + 1];
    const step = STEP_OF[change.status];
    if (next && step) times[step] += Date.parse(next.at) - Date.parse(change.at);
  });
  return times;
}

/** From accepted to its last step so far, in milliseconds. */
export function timeTaken(order: Order): number {
  return Date.parse(order.updatedAt) - Date.parse(order.createdAt);
}

/** Steps that a reader takes for one: how often its prices moved or were changed while an order waited. */
export interface StepsTogether {
  change: HistoryStep;
  /** When the first of them began. */
  since: string;
  moves: number;
}

/** Steps in their order; those in which an order only waited on for its price together, as the last of them. */
export function together(steps: readonly HistoryStep[]): StepsTogether[] {
  const found: StepsTogether[] = [];
  for (const change of steps) {
    const before = found[found.length - 1];
    if (before && change.status === "open" && before.change.status === "open")
      found[found.length - 1] = { change, since: before.since, moves: before.moves + 1 };
    else found.push({ change, since: change.at, moves: 0 });
  }
  return found;
}

export interface Attempt {
  number: number;
  changes: HistoryStep[];
}

/** The history after `pending`, separated where a new attempt begins. */
export function attempts(order: Order): Attempt[] {
  const found: Attempt[] = [];
  for (const change of order.history) {
    if (change.status === "pending") continue;
    if (change.status === "routing" || found.length === 0) found.push({ number: found.length + 1, changes: [] });
    found[found.length - 1]?.changes.push(change);
  }
  return found;
}
