import assert from "node:assert/strict";
import { test } from "node:test";
import { boundBy } from "../src/floor";
import type { OrderBody, Quote } from "../src/wire";

const order: OrderBody = { type: "market", tokenIn: "SOL", tokenOut: "USDC", amount: "10", slippage: "0.01" };
const quote: Quote = {
  tokenIn: "SOL",
  tokenOut: "USDC",
  amount: "10",
  slippage: "0.01",
  slot: 7,
  slotLag: 0,
  at: "2026-01-02T03:04:05.006Z",
  ageMs: 3,
  amountOut: "1522.000001",
  minOut: "1506.780001",
  price: "152.2000001",
  priceImpact: "0.0001",
  route: [],
  fees: [],
  quotes: [],
};

test("what the ticket shows as the least is the order's floor", () => {
  assert.deepEqual(boundBy(quote, order), { ...order, minOut: "1506.780001" });
});

test("numbers are compared by their value", () => {
  assert.equal(boundBy(quote, { ...order, amount: "10.0", slippage: "0.010" }).minOut, "1506.780001");
});

test("the quote of another ticket binds nothing", () => {
  const others: Partial<OrderBody>[] = [
    { tokenIn: "BONK" },
    { tokenOut: "BONK" },
    { amount: "11" },
    { slippage: "0.02" },
  ];
  for (const other of others) assert.equal(boundBy(quote, { ...order, ...other }).minOut, undefined);
  assert.equal(boundBy(null, order).minOut, undefined);
});

test("a floor of nothing is not sent: the service takes none", () => {
  assert.equal(boundBy({ ...quote, minOut: "0" }, order).minOut, undefined);
});
