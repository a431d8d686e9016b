import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { steadyScroll, visibleRows } from "../src/visible_rows";

test("every row in sight is there, and few others, wherever one scrolls", () => {
  const view = fc.record({ top: fc.nat(60_000), height: fc.integer({ min: 40, max: 900 }), count: fc.nat(1500) });
  fc.assert(
    fc.property(view, ({ top, height, count }) => {
      const { first, end } = visibleRows(top, height, 40, count);
      const inSight = Array.from({ length: count }, (_, row) => row).filter(
        (row) => row * 40 < top + height && (row + 1) * 40 > top,
      );
      assert.ok(inSight.every((row) => row >= first && row < end));
      assert.ok(end - first <= Math.ceil(height / 40) + 14);
    }),
  );
});

test("rows that come in above don't move what is read, but are seen by who is at the top", () => {
  assert.equal(steadyScroll(400, 40, 3), 520);
  assert.equal(steadyScroll(0, 40, 3), 0);
});
