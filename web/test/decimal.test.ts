import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { basisPoints, compare, must, parse, rounded, shift, significant, toText } from "../src/decimal";

const decimals = fc.record({
  digits: fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  scale: fc.integer({ min: 0, max: 12 }),
});

test("a decimal's text reads back as the same number, whatever its size", () => {
  fc.assert(fc.property(decimals, (value) => assert.equal(compare(must(toText(value)), value), 0)));
});

test("amounts beyond a double's 53 bits keep every digit", () => {
  assert.equal(toText(must("9007199254740993.000000001")), "9007199254740993.000000001");
});

test("trailing zeros go, zeros of the whole part stay", () => {
  assert.deepEqual(
    ["10.500", "100", "0.0", ".5", "7."].map((text) => toText(must(text))),
    ["10.5", "100", "0", "0.5", "7"],
  );
});

test("what isn't a plain decimal is none", () => {
  for (const text of ["", ".", "1e3", "1,000", "0x10", "one", "1.2.3", "--1", "١"])
    assert.equal(parse(text), null, text);
});

test("a percentage becomes a fraction and back without a digit lost", () => {
  assert.equal(toText(shift(must("0.5"), -2)), "0.005");
  fc.assert(fc.property(decimals, (value) => assert.equal(compare(shift(shift(value, -2), 2), value), 0)));
});

test("basis points are exact to a hundredth", () => {
  const of = (actual: string, reference: string) => toText(basisPoints(must(actual), must(reference)) ?? must("0"));
  assert.equal(of("101", "100"), "100");
  assert.equal(of("99.995", "100"), "-0.5");
  assert.equal(of("303295.646858", "303255.668017"), "1.32");
  assert.equal(basisPoints(must("1"), must("0")), null);
});

test("rounding goes to the nearest, half away from zero", () => {
  assert.equal(toText(rounded(must("0.125"), 2)), "0.13");
  assert.equal(toText(rounded(must("-0.125"), 2)), "-0.13");
  assert.equal(toText(rounded(must("0.004"), 2)), "0");
  assert.equal(toText(significant(must("151.647823429"), 8)), "151.64782");
  assert.equal(toText(significant(must("0.00000419554941745555556"), 8)), "0.0000041955494");
  assert.equal(toText(significant(must("1234567890123.5"), 8)), "1234567890124");
});
