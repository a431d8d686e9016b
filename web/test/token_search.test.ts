import assert from "node:assert/strict";
import { test } from "node:test";
import { iconShape, SIDE } from "../src/icon_shape";
import { searchTokens } from "../src/token_search";
import type { Token } from "../src/wire";

const token = (symbol: string | null, mint: string, more: Partial<Token> = {}): Token => ({
  symbol,
  mint,
  decimals: 6,
  tokenProgram: "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
  ...more,
});
const SOL = token("SOL", "So11111111111111111111111111111111111111112", { name: "Solana", verified: true });
const FAKE = token(null, "Fake11111111111111111111111111111111111111", { name: "Solana" });
const BSOL = token("BSOL", "bSo13r4TkiE4KumL71LsHTPpL2euBYLFx6h9HP3piy1", { name: "BlazeStake Staked" });
const ALL = [FAKE, BSOL, SOL];

test("a token is found by its symbol, its name and its mint, whole or begun", () => {
  assert.deepEqual(searchTokens(ALL, "sol"), [SOL, FAKE, BSOL]);
  assert.deepEqual(searchTokens(ALL, " blaze "), [BSOL]);
  assert.deepEqual(searchTokens(ALL, BSOL.mint), [BSOL]);
  assert.deepEqual(searchTokens(ALL, "So1111"), [SOL]);
  assert.deepEqual(searchTokens(ALL, "<script>"), []);
});

test("of equal matches the verified one is first", () => {
  assert.deepEqual(searchTokens(ALL, "solana"), [SOL, FAKE]);
});

test("without a query all are there in their order", () => {
  assert.deepEqual(searchTokens(ALL, " "), ALL);
});

test("a mint has one picture, within its grid, and another mint another", () => {
  assert.deepEqual(iconShape(SOL.mint), iconShape(SOL.mint));
  assert.notDeepEqual(iconShape(SOL.mint), iconShape(FAKE.mint));
  for (const { x, y } of iconShape(BSOL.mint).cells) assert.ok(x >= 0 && x < SIDE && y >= 0 && y < SIDE);
});
