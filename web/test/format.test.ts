import assert from "node:assert/strict";
import { test } from "node:test";
import { must } from "../src/decimal";
import { duration, evenPercent, grouped, percent, signed } from "../src/format";

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
});
