import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { costOf, needsCare, needsCareAtLimit, unitValue } from "../src/cost";
import { compare, cut, minus, must, plus, quotient, times, toText } from "../src/decimal";
import { netFlows, worth } from "../src/net_flows";
import { halfOf, mostOf } from "../src/spendable";
import type { Balance, Fill, Quote } from "../src/wire";

const decimals = fc
  .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.integer({ min: 0, max: 12 }))
  .map(([digits, scale]) => ({ digits, scale }));

test("sums, products and quotients are exact", () => {
  fc.assert(
    fc.property(decimals, decimals, (a, b) => {
      assert.equal(compare(minus(plus(a, b), b), a), 0);
      assert.equal(compare(times(a, b), times(b, a)), 0);
      if (b.digits === 0n) return;
      const off = minus(times(quotient(a, b, 30), b), a);
      const most = times(b, must("0.000000000000000000000000000001"));
      const size = (value: typeof a): typeof a => ({
        ...value,
        digits: value.digits < 0n ? -value.digits : value.digits,
      });
      assert.ok(compare(size(off), size(most)) <= 0);
    }),
  );
});

test("an amount is cut towards zero", () => {
  assert.equal(toText(cut(must("1.999999"), 2)), "1.99");
  assert.equal(toText(cut(must("-1.999"), 1)), "-1.9");
  assert.equal(toText(cut(must("1.5"), 6)), "1.5");
});

const sol: Balance = {
  token: "SOL",
  mint: "So11111111111111111111111111111111111111112",
  amount: "10",
  free: "9.99910912",
};

test("of SOL the rent of the accounts that a swap opens and the network's fees are kept back", () => {
  // 9.99910912 less two token accounts' 0.00203928 and fees of 0.003
  assert.equal(compare(mostOf(sol), must("9.99203056")) <= 0, true);
  assert.equal(compare(mostOf(sol), must("9.99203")) > 0, true);
  assert.equal(toText(mostOf({ ...sol, amount: "0.005", free: "0.00410912" })), "0");
});

test("of any other token all can be sold, and half is never more than half", () => {
  const usdc = { ...sol, token: "USDC", amount: "0.000003" };
  delete (usdc as { free?: string }).free;
  assert.equal(toText(mostOf(usdc)), "0.000003");
  assert.equal(toText(halfOf(usdc, 6)), "0.000001");
});

const quote = (fields: Partial<Quote>): Quote => ({
  tokenIn: "SOL",
  tokenOut: "USDC",
  amount: "10",
  slippage: "0.01",
  slot: 1,
  slotLag: 0,
  at: "2026-01-02T03:04:05.006Z",
  ageMs: 0,
  amountOut: "960",
  minOut: "950.4",
  price: "96",
  priceImpact: "0.04",
  route: [],
  fees: [],
  quotes: [],
  ...fields,
});

test("what an order loses is told in the token that it receives", () => {
  const cost = costOf(quote({}));
  assert.deepEqual([cost.impact, cost.slippage, cost.worst].map(toText), ["40", "9.6", "49.6"]);
  assert.equal(toText(costOf(quote({ priceImpact: "1" })).impact), "0");
});

test("more than 3 % impact or 2 % slippage asks again, and no less", () => {
  assert.equal(needsCare(quote({ priceImpact: "0.03", slippage: "0.02" })), null);
  assert.deepEqual(needsCare(quote({ priceImpact: "0.030001" })), { impact: true, slippage: false });
  assert.deepEqual(needsCare(quote({ priceImpact: "0", slippage: "0.020001" })), { impact: false, slippage: true });
});

test("a limit price that accepts more than 2 % less than the market pays asks again, and no other", () => {
  assert.equal(needsCareAtLimit(quote({ price: "100" }), "98"), false);
  assert.equal(needsCareAtLimit(quote({ price: "100" }), "97.999999"), true);
  assert.equal(needsCareAtLimit(quote({ price: "100" }), "160"), false);
});

test("a price is what is held by what it is worth, and none where nothing is held", () => {
  assert.equal(toText(unitValue("4", "10") ?? must("0")), "2.5");
  assert.equal(unitValue("0", "0"), null);
  assert.equal(unitValue("4", undefined), null);
});

const fill = (tokenIn: string, amountIn: string, tokenOut: string, amountOut: string): Fill => ({
  orderId: "o",
  at: "2026-01-02T03:04:05.006Z",
  tokenIn,
  mintIn: tokenIn,
  tokenOut,
  mintOut: tokenOut,
  amountIn,
  amountOut,
  price: "1",
  route: [],
  poolFees: [],
  networkFee: "0.01",
  vsQuoteBps: "0",
  vsFloorBps: "1",
  txHash: "t",
});

test("a way there and back leaves what it cost", () => {
  const flows = netFlows([fill("USDC", "100", "JUP", "200"), fill("JUP", "200", "USDC", "99")]);
  const net = Object.fromEntries(flows.map((flow) => [flow.token, toText(flow.net)]));
  assert.deepEqual(net, { USDC: "-1", JUP: "0", SOL: "-0.02" });
  assert.equal(toText(worth(flows, (token) => (token === "SOL" ? must("150") : must("1"))) ?? must("0")), "-4");
  assert.equal(
    worth(flows, (token) => (token === "SOL" ? null : must("1"))),
    null,
  );
});
