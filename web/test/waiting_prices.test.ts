import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compare, minus, must, times, toText } from "../src/decimal";
import { condition, distanceWords, shortDistance, turnedCondition } from "../src/price_words";
import {
  bestOf,
  bestSeen,
  distance,
  isReached,
  leastAt,
  legsOf,
  mostAt,
  movedBy,
  trailingStop,
  turned,
} from "../src/waiting_prices";

const positive = fc
  .tuple(fc.bigInt({ min: 1n, max: 10n ** 18n }), fc.integer({ min: 0, max: 12 }))
  .map(([digits, scale]) => ({ digits, scale }));
const pair = { tokenIn: "SOL", tokenOut: "USDC" };
const limit = (price: string) => ({ kind: "limit", price }) as const;
const stop = (price: string) => ({ kind: "stop", price }) as const;

test("a limit's least is rounded up and a stop's most down, each by less than a base unit", () => {
  fc.assert(
    fc.property(positive, positive, fc.integer({ min: 0, max: 9 }), (amount, price, decimals) => {
      const worth = times(amount, price);
      const unit = { digits: 1n, scale: decimals };
      const [least, most] = [leastAt(amount, price, decimals), mostAt(amount, price, decimals)];
      assert.ok(compare(least, worth) >= 0 && compare(minus(least, worth), unit) < 0);
      assert.ok(compare(most, worth) <= 0 && compare(minus(worth, most), unit) < 0);
      assert.ok(compare(minus(least, most), unit) <= 0);
    }),
  );
});

test("what the docs say of a limit at 160 for 10 SOL: 1600 USDC", () => {
  assert.equal(toText(leastAt(must("10"), must("160"), 6)), "1600");
  assert.equal(toText(leastAt(must("3"), must("0.33333333"), 6)), "1");
});

test("a limit is reached from its price on, a stop up to its price", () => {
  fc.assert(
    fc.property(positive, positive, (price, market) => {
      const text = toText(price);
      assert.equal(isReached(limit(text), market), compare(market, price) >= 0);
      assert.equal(isReached(stop(text), market), compare(market, price) <= 0);
    }),
  );
  assert.ok(isReached(limit("160"), must("160.0")) && isReached(stop("160"), must("160")));
});

test("the distance is how far the market has to go", () => {
  assert.equal(toText(distance(must("160"), must("150")) ?? must("0")), "0.066667");
  assert.equal(toText(distance(must("140"), must("150")) ?? must("0")), "-0.066667");
  assert.equal(distance(must("1"), must("0")), null);
  assert.equal(distanceWords(limit("160"), must("150")), "6.67 % above the market");
  assert.equal(distanceWords(stop("140"), must("150")), "6.67 % below the market");
  assert.equal(distanceWords(stop("150"), must("150")), "where the market is");
  assert.deepEqual(
    [shortDistance(limit("160"), must("150")), shortDistance(stop("140"), must("150"))],
    ["+6.67 %", "−6.67 %"],
  );
  assert.deepEqual(
    [shortDistance(limit("149"), must("150")), shortDistance(stop("150"), must("150"))],
    ["reached", "reached"],
  );
});

test("a price says which way it holds, from either token", () => {
  assert.equal(condition(limit("152.30"), pair), "1 SOL ≥ 152.3 USDC");
  assert.equal(turnedCondition(limit("160"), pair), "1 USDC ≤ 0.00625 SOL");
  assert.equal(condition(stop("140"), pair), "1 SOL ≤ 140 USDC");
  assert.equal(turnedCondition(stop("0.00004"), pair), "1 USDC ≥ 25,000 SOL");
  assert.equal(turned(must("0")), null);
});

test("turned twice a price is what it was, to eight digits", () => {
  fc.assert(
    fc.property(positive, (price) => {
      const there = turned(price);
      const back = there && turned(there);
      if (!there || !back || there.digits === 0n) return;
      const off = minus(back, price);
      const size = { ...off, digits: off.digits < 0n ? -off.digits : off.digits };
      assert.ok(compare(size, times(price, must("0.0000002"))) <= 0, `${toText(price)} ${toText(back)}`);
    }),
  );
});

test("a trailing stop stays so much below the best price, which its place tells", () => {
  assert.equal(toText(trailingStop(must("160"), must("0.1"))), "144");
  assert.equal(toText(bestSeen("144", "0.1")), "160");
  const order = { stopPrice: "144", trailing: "0.1" };
  assert.deepEqual([toText(bestOf(order, must("150"))), toText(bestOf(order, must("170")))], ["160", "170"]);
  assert.equal(toText(bestOf({ stopPrice: "144" }, must("150"))), "150");
  assert.equal(toText(movedBy(must("152.3"), "-2")), "149.254");
  assert.equal(toText(movedBy(must("0.000012345678912"), "0")), "0.000012345679");
});

test("an order's legs are its prices, its limit first", () => {
  assert.deepEqual(legsOf({ stopPrice: "140", limitPrice: "165" }), [limit("165"), stop("140")]);
  assert.deepEqual(legsOf({}), []);
});
