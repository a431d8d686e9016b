import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  changes,
  deadline,
  sentTerms,
  type Term,
  termErrors,
  termsOf,
  type TypedTerms,
  typedTerms,
} from "../src/order_terms";
import type { Order } from "../src/wire";

const NOW = Date.parse("2026-11-30T08:00:00Z");
const USDC = { name: "USDC", decimals: 6 };
const typed = (fields: Partial<TypedTerms> = {}): TypedTerms => ({
  limitPrice: "165",
  stopPrice: "140",
  trailing: "5",
  slippage: "1",
  minOut: "",
  maxTries: "",
  expiresAt: "",
  ...fields,
});
const wrong = (terms: readonly Term[], fields: Partial<TypedTerms>): Partial<Record<Term, string>> =>
  termErrors(terms, typed(fields), USDC, NOW);
const allOf = (type: Order["type"]): Term[] => termsOf(type, "stopPrice");

test("each type has just the terms that the contract gives it", () => {
  assert.deepEqual(termsOf("market", "stopPrice"), ["slippage"]);
  assert.deepEqual(termsOf("limit", "trailing"), ["limitPrice", "expiresAt", "minOut", "maxTries"]);
  assert.deepEqual(termsOf("stop", "stopPrice"), ["stopPrice", "slippage", "expiresAt", "minOut", "maxTries"]);
  assert.deepEqual(termsOf("stop", "trailing"), ["trailing", "slippage", "expiresAt", "minOut", "maxTries"]);
  assert.deepEqual(termsOf("oco", "stopPrice").slice(0, 3), ["limitPrice", "stopPrice", "slippage"]);
  assert.deepEqual(termsOf("oco", "trailing").slice(0, 3), ["limitPrice", "trailing", "slippage"]);
});

test("what is sent is what was typed, percentages as fractions, to the last digit", () => {
  assert.deepEqual(
    sentTerms(allOf("oco"), typed({ limitPrice: " 165.10", slippage: "0.5", maxTries: "3", minOut: "1386" })),
    {
      limitPrice: "165.1",
      stopPrice: "140",
      slippage: "0.005",
      minOut: "1386",
      maxTries: 3,
    },
  );
  assert.deepEqual(sentTerms(termsOf("stop", "trailing"), typed()), { trailing: "0.05", slippage: "0.01" });
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 10n ** 40n }), fc.integer({ min: 1, max: 20 }), (digits, scale) => {
      const text = `${digits}`.padStart(scale + 1, "0");
      const price = `${text.slice(0, -scale)}.${text.slice(-scale)}`;
      const sent = sentTerms(["limitPrice"], typed({ limitPrice: price })).limitPrice ?? "";
      assert.equal(BigInt(sent.split(".").join("") + "0".repeat(scale - (sent.split(".")[1]?.length ?? 0))), digits);
    }),
  );
});

test("a price that is none is named at its field", () => {
  for (const [text, complaint] of [
    ["", "Enter a price."],
    ["1,5", "Write the price in digits"],
    ["1e3", "Write the price in digits"],
    ["0", "above zero"],
    ["-1", "above zero"],
    ["9".repeat(65), "At most 64 characters."],
  ] as const)
    assert.match(wrong(allOf("limit"), { limitPrice: text }).limitPrice ?? "", new RegExp(complaint), text);
  assert.deepEqual(
    wrong(allOf("limit"), { stopPrice: "no", trailing: "no", slippage: "no" }),
    {},
    "not its own fields",
  );
});

test("an oco's limit is above its stop, and both are named where it isn't", () => {
  for (const stopPrice of ["165", "165.0", "200"])
    assert.deepEqual(Object.keys(wrong(allOf("oco"), { stopPrice })).sort(), ["limitPrice", "stopPrice"]);
  assert.deepEqual(wrong(allOf("oco"), {}), {});
  assert.deepEqual(wrong(termsOf("oco", "trailing"), { stopPrice: "200" }), {}, "a price that is not in force");
});

test("percentages, tries and the least are held to what the service takes", () => {
  const stop = termsOf("stop", "trailing");
  for (const trailing of ["0", "100", "-5", "99.99991", "x"]) assert.ok(wrong(stop, { trailing }).trailing, trailing);
  for (const trailing of ["0.0001", "99.9999"]) assert.deepEqual(wrong(stop, { trailing }), {});
  for (const slippage of ["-1", "50.1", "0.00001"]) assert.ok(wrong(stop, { slippage }).slippage, slippage);
  for (const maxTries of ["0", "31", "1.5", "x"]) assert.ok(wrong(stop, { maxTries }).maxTries, maxTries);
  for (const minOut of ["0", "1.0000001", "x"]) assert.ok(wrong(stop, { minOut }).minOut, minOut);
  assert.deepEqual(wrong(stop, { maxTries: "30", minOut: "1.000001" }), {});
});

test("a deadline is some time from now, or a time of one's own, within thirty days", () => {
  assert.equal(deadline("", NOW), undefined);
  assert.equal(deadline("3600", NOW), "2026-11-30T09:00:00.000Z");
  assert.ok(Date.parse(deadline("2592000", NOW) ?? "") < NOW + 30 * 86_400_000, "whoever's clock is behind");
  const local = (ms: number): string => {
    const at = new Date(NOW + ms);
    return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  };
  assert.equal(deadline(local(7_200_000), NOW), "2026-11-30T10:00:00.000Z");
  assert.deepEqual(wrong(["expiresAt"], { expiresAt: local(60_000) }), {});
  for (const expiresAt of [local(0), local(-60_000), local(31 * 86_400_000), " ", "soon"])
    assert.ok(wrong(["expiresAt"], { expiresAt }).expiresAt, expiresAt);
});

const oco: Order = {
  orderId: "order-1",
  type: "oco",
  tokenIn: "SOL",
  tokenOut: "USDC",
  mintIn: "So11111111111111111111111111111111111111112",
  mintOut: "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v",
  networkFees: "0",
  amount: "10",
  slippage: "0.01",
  limitPrice: "165",
  stopPrice: "140",
  minOut: "1300",
  status: "open",
  retryCount: 0,
  createdAt: "2026-11-30T07:00:00.000Z",
  updatedAt: "2026-11-30T07:00:00.000Z",
  history: [{ seq: 1, status: "open", at: "2026-11-30T07:00:00.000Z", retryCount: 0 }],
};

test("only what was changed is sent", () => {
  const before = typedTerms(oco, 6);
  const change = (fields: Partial<TypedTerms>, stopBy: "stopPrice" | "trailing" = "stopPrice"): unknown =>
    changes(termsOf("oco", stopBy), before, { ...before, ...fields }, NOW);
  assert.deepEqual(change({}), {});
  assert.deepEqual(change({ limitPrice: "165.00", slippage: "1.0" }), {}, "the same numbers");
  assert.deepEqual(change({ limitPrice: "170" }), { limitPrice: "170" });
  assert.deepEqual(change({ slippage: "2", expiresAt: "3600" }), {
    slippage: "0.02",
    expiresAt: "2026-11-30T09:00:00.000Z",
  });
  assert.deepEqual(change({ minOut: " " }), { minOut: null });
  assert.deepEqual(change({ trailing: "5" }, "trailing"), { trailing: "0.05" }, "in place of its price");
});

test("a trailing stop's price is no term of its own", () => {
  const trailing = typedTerms({ ...oco, trailing: "0.05" }, 6);
  assert.deepEqual([trailing.stopPrice, trailing.trailing], ["", "5"]);
});

test("a limit order's floor is its client's own only where its price asks for less", () => {
  const { stopPrice: _stopPrice, ...rest } = oco;
  const limit: Order = { ...rest, type: "limit", limitPrice: "160" };
  assert.equal(typedTerms({ ...limit, minOut: "1600" }, 6).minOut, "");
  assert.equal(typedTerms({ ...limit, minOut: "1600.000001" }, 6).minOut, "1600.000001");
});
