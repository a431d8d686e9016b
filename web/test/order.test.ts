import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  apply,
  attempts,
  fillAgainstFloor,
  fillAgainstQuote,
  isCancellable,
  isChangeable,
  isEnded,
  kindOf,
  mayBeChange,
  timeByStep,
  together,
} from "../src/order";
import { bps, exactDifference } from "../src/format";
import type { Order, StatusMessage } from "../src/wire";
import { toText } from "../src/decimal";

const at = (ms: number): string => new Date(1_760_000_000_000 + ms).toISOString();
const step = (
  seq: number,
  status: StatusMessage["status"],
  ms: number,
  more: Partial<StatusMessage> = {},
): StatusMessage => ({
  type: "status",
  orderId: "order-1",
  seq,
  status,
  at: at(ms),
  retryCount: 0,
  ...more,
});

const placed: Order = {
  orderId: "order-1",
  type: "market",
  tokenIn: "SOL",
  tokenOut: "USDC",
  mintIn: "So11111111111111111111111111111111111111112",
  mintOut: "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",
  networkFees: "0",
  amount: "10",
  slippage: "0.01",
  status: "pending",
  retryCount: 0,
  createdAt: at(0),
  updatedAt: at(0),
  history: [{ seq: 1, status: "pending", at: at(0), retryCount: 0 }],
};

const LIFE: StatusMessage[] = [
  step(2, "routing", 10),
  step(3, "building", 30, { quotedOut: "100", minOut: "99", dexUsed: "meteora" }),
  step(4, "submitted", 60, { txHash: "first" }),
  step(5, "failed", 1000, {
    retryCount: 1,
    terminal: false,
    retryInMs: 1000,
    error: "moved",
    errorCode: "SLIPPAGE_EXCEEDED",
  }),
  step(6, "routing", 2000, { retryCount: 1 }),
  step(7, "building", 2010, { retryCount: 1, quotedOut: "100.5", minOut: "99", dexUsed: "raydium" }),
  step(8, "submitted", 2020, { retryCount: 1, txHash: "second" }),
  step(9, "confirmed", 2520, { retryCount: 1, amountOut: "100.99", txHash: "second" }),
];

const after = (messages: readonly StatusMessage[]): Order =>
  messages.reduce((order, message) => {
    const applied = apply(order, message);
    return typeof applied === "string" ? order : applied.order;
  }, placed);

test("repeated and late messages change nothing", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(LIFE.length - 1), { maxLength: 40 }), (noise) => {
      const messages = LIFE.flatMap((message, index) => [
        message,
        ...noise.filter((one) => one <= index).map((one) => LIFE[one] as StatusMessage),
      ]);
      assert.deepEqual(after(messages), after(LIFE));
    }),
  );
});

test("a message after a missing one is a gap, and is not applied", () => {
  assert.equal(apply(placed, LIFE[1] as StatusMessage), "gap");
});

test("a new attempt forgets what the former chose but not the floor, and a fill what went wrong", () => {
  const retrying = after(LIFE.slice(0, 5));
  assert.equal(retrying.txHash, undefined);
  assert.equal(retrying.quotedOut, undefined);
  assert.equal(retrying.minOut, "99");
  assert.equal(retrying.errorCode, "SLIPPAGE_EXCEEDED");
  const confirmed = after(LIFE);
  assert.equal(confirmed.errorCode, undefined);
  assert.equal(confirmed.txHash, "second");
});

/** An order that received so much of what was quoted at first and may not be undercut. */
const filled = (amountOut: string, firstQuote = "100", minOut = "99"): Order =>
  after([
    step(2, "routing", 10),
    step(3, "building", 30, { quotedOut: firstQuote, minOut }),
    step(4, "submitted", 60),
    step(5, "confirmed", 90, { amountOut }),
  ]);

test("a fill is compared with the first quote, whatever later attempts were quoted", () => {
  const against = fillAgainstQuote(after(LIFE));
  assert.equal(toText(against?.tokens ?? { digits: 0n, scale: 0 }), "0.99");
  assert.equal(toText(against?.basisPoints ?? { digits: 0n, scale: 0 }), "99");
});

test("a fill is compared with the floor too", () => {
  const above = fillAgainstFloor(filled("99.5", "100", "99.5"));
  assert.equal(above && exactDifference(above, "USDC", "exactly the least"), "exactly the least");
  const more = fillAgainstFloor(filled("99.500001", "100", "99.5"));
  assert.equal(more && exactDifference(more, "USDC", "exactly the least"), "+0.000001 USDC (< +0.01 bps)");
});

test("a fill is exactly as quoted only where it is so to the last unit", () => {
  const words = (order: Order): string | null => {
    const against = fillAgainstQuote(order);
    return against && exactDifference(against, "USDC", "exactly as quoted");
  };
  assert.equal(words(filled("100")), "exactly as quoted");
  assert.equal(words(filled("99.999999")), "−0.000001 USDC (> −0.01 bps)");
  assert.equal(words(filled("100.000001")), "+0.000001 USDC (< +0.01 bps)");
  assert.equal(words(filled("99.5")), "−0.5 USDC (−50 bps)");
});

test("basis points too few for two decimals are not shown as none", () => {
  fc.assert(
    fc.property(fc.bigInt(1n, 10n ** 18n), fc.bigInt(1n, 10n ** 18n), (received, quoted) => {
      const against = fillAgainstQuote(filled(String(received), String(quoted), "0.1"));
      assert.equal(against !== null && bps(against) === "0 bps", received === quoted);
    }),
  );
});

test("an order can be cancelled until it is signed, and between two attempts", () => {
  const cancellable = LIFE.map((_, index) => isCancellable(after(LIFE.slice(0, index))));
  assert.deepEqual(cancellable, [true, true, true, false, true, true, true, false]);
  assert.equal(isCancellable(after(LIFE)), false);
});

test("an order whose time is over has ended", () => {
  const expired = after([...LIFE.slice(0, 4), step(6, "expired", 900, { errorCode: "EXPIRED", terminal: true })]);
  assert.equal(isEnded(expired), true);
  assert.equal(isCancellable(expired), false);
});

test("whatever a step tells of the order's progress, the order has", () => {
  const leftover = [{ token: "USDC", amount: "0.25" }];
  const order = after([...LIFE.slice(0, 7), step(9, "confirmed", 2520, { amountOut: "100.99", leftover })]);
  assert.deepEqual(order.leftover, leftover);
  assert.deepEqual([order.status, order.amountOut, order.updatedAt], ["confirmed", "100.99", at(2520)]);
  assert.equal("seq" in order || "at" in order, false);
});

test("failed is the end only where the server says so", () => {
  assert.equal(isEnded(after(LIFE.slice(0, 4))), false);
  assert.equal(isEnded(after([...LIFE.slice(0, 3), step(5, "failed", 70, { terminal: true })])), true);
  assert.equal(isEnded(after(LIFE)), true);
});

test("the times of the steps add up to the whole, retries included", () => {
  assert.deepEqual(timeByStep(after(LIFE)), {
    waiting: 10,
    routing: 30,
    building: 40,
    confirming: 1440,
    retrying: 1000,
  });
});

test("each attempt has its own steps", () => {
  assert.deepEqual(
    attempts(after(LIFE)).map(({ changes }) => changes.map(({ status }) => status)),
    [
      ["routing", "building", "submitted", "failed"],
      ["routing", "building", "submitted", "confirmed"],
    ],
  );
});

const waiting: Order = {
  ...placed,
  type: "stop",
  status: "open",
  stopPrice: "140",
  trailing: "0.1",
  minOut: "1300",
  history: [{ seq: 1, status: "open", at: at(0), retryCount: 0, stopPrice: "140", trailing: "0.1", minOut: "1300" }],
};
const applied = (order: Order, message: StatusMessage): Order => {
  const next = apply(order, message);
  assert.ok(typeof next !== "string");
  return next.order;
};

test("an order that waits has the prices of its last step, and no others", () => {
  const moved = applied(waiting, step(2, "open", 10, { stopPrice: "144", trailing: "0.1", minOut: "1300" }));
  assert.deepEqual([moved.stopPrice, moved.trailing, moved.minOut], ["144", "0.1", "1300"]);
  const fixed = applied(moved, step(3, "open", 20, { stopPrice: "141" }));
  assert.deepEqual([fixed.stopPrice, fixed.trailing, fixed.minOut], ["141", undefined, undefined]);
});

test("a step in which only a trailing stop followed the price tells all; a change by its client may not", () => {
  const follows = step(2, "open", 10, { stopPrice: "144", trailing: "0.1" });
  assert.equal(mayBeChange(waiting, follows), false);
  assert.equal(mayBeChange(waiting, { ...follows, trailing: "0.2" }), true);
  assert.equal(mayBeChange(waiting, { ...follows, stopPrice: "140" }), true, "its slippage or its deadline");
  assert.equal(mayBeChange({ ...waiting, status: "submitted" }, follows), false, "it has come back");
  assert.equal(mayBeChange(waiting, step(2, "pending", 10)), false);
});

test("what waits is changed until it is set off, and cancelled until it is signed", () => {
  const trigger = { kind: "stop", price: "139", slot: 7, at: at(5) } as const;
  assert.ok(isChangeable(waiting) && isCancellable(waiting));
  assert.ok(!isChangeable({ ...waiting, trigger }) && isCancellable({ ...waiting, trigger }));
  assert.ok(!isChangeable({ ...waiting, status: "pending" }));
  assert.ok(!isChangeable({ ...waiting, type: "market" }));
  assert.deepEqual(
    [kindOf(waiting), kindOf({ type: "stop" }), kindOf({ type: "oco", trailing: "0.1" })],
    ["trailing", "stop", "oco"],
  );
});

test("steps in which an order waited on are read as one, since the first of them", () => {
  const order = [
    step(2, "open", 10, { stopPrice: "144", trailing: "0.1" }),
    step(3, "open", 20, { stopPrice: "150", trailing: "0.1" }),
    step(4, "pending", 30),
    step(5, "routing", 40),
    step(6, "open", 50, { stopPrice: "150", trailing: "0.1" }),
  ].reduce(applied, waiting);
  assert.deepEqual(
    together(order.history).map(({ change, since, moves }) => [change.status, change.stopPrice, since, moves]),
    [
      ["open", "150", at(0), 2],
      ["pending", undefined, at(30), 0],
      ["routing", undefined, at(40), 0],
      ["open", "150", at(50), 0],
    ],
  );
});
