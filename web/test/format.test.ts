import assert from "node:assert/strict";
import { test } from "node:test";
import { must } from "../src/decimal";
import { duration, evenPercent, grouped, percent, roundedAmount, signed, signedShare, venueName } from "../src/format";

test("thousands are set apart in the whole part alone", () => {
  assert.equal(grouped("2655849728.92509"), "2,655,849,728.92509");
  assert.equal(grouped("999"), "999");
  assert.equal(grouped("-1234.5"), "-1,234.5");
});

test("a small fraction is never shown as none", () => {
  assert.equal(percent("0"), "0 %");
  assert.equal(percent("0.00002"), "< 0.01 %");
  assert.equal(percent("0.004175"), "0.42 %");
  assert.equal(percent("1"), "100 %");
  assert.equal(percent("-0.0031"), "−0.31 %");
  assert.equal(evenPercent("0.002"), "0.20 %");
});

test("a difference says its direction", () => {
  assert.deepEqual(
    ["1.5", "-1020.75", "0"].map((text) => signed(must(text))),
    ["+1.5", "−1,020.75", "0"],
  );
});

test("durations are read at a glance", () => {
  assert.deepEqual([84, 1240, 59_999, 125_000].map(duration), ["84 ms", "1.24 s", "1 min 0 s", "2 min 5 s"]);
  assert.deepEqual([3_599_400, 3_600_000, 172_799_000, 187_200_000].map(duration), [
    "59 min 59 s",
    "1 h 0 min",
    "47 h 59 min",
    "2 d 4 h",
  ]);
});

test("a difference of a percent or more is told in percent", () => {
  assert.deepEqual(
    ["-3341.7", "99.99", "100", "-0.31"].map((text) => signedShare(must(text))),
    ["−33.42 %", "+99.99 bps", "+1 %", "−0.31 bps"],
  );
});

test("a table has nine digits of an amount and all of its whole part", () => {
  assert.equal(roundedAmount("12345678901.12345", "BONK"), "12,345,678,901 BONK");
  assert.equal(roundedAmount("0.000001", "USDC"), "0.000001 USDC");
  assert.equal(roundedAmount("1498.251604123", "USDC"), "1,498.2516 USDC");
});

test("a venue is named by its program, and by its exchange where an old order tells no program", () => {
  assert.equal(venueName({ dex: "raydium", program: "raydium-clmm" }), "Raydium CLMM");
  assert.equal(venueName({ dex: "raydium", program: "raydium-amm-v4" }), "Raydium AMM v4");
  assert.equal(venueName({ dex: "meteora", program: "meteora-damm-v1" }), "Meteora DAMM v1");
  assert.equal(venueName({ dex: "meteora" }), "Meteora");
});
