import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { dashesOf, toneOf } from "../src/venue_tone";

test("an exchange of any name has a colour that the style sheet knows, light and dark", () => {
  const css = readFileSync("src/style/base.css", "utf8");
  fc.assert(
    fc.property(fc.string(), (dex) => {
      assert.equal(css.split(`  --tone-${toneOf(dex)}: `).length, 3);
      assert.equal(css.split(`  --tone-${toneOf(dex)}-soft: `).length, 3);
    }),
  );
});

test("the two houses that most pools belong to can be told apart by colour and by dashes", () => {
  assert.notEqual(toneOf("raydium"), toneOf("meteora"));
  assert.notDeepEqual(dashesOf("raydium"), dashesOf("meteora"));
});
