/** Finding a token by what one knows of it. Pure. */

import type { Token } from "./wire";

/** How well a token matches, the lower the better; null where it doesn't. */
function rank(token: Token, wanted: string, written: string): number | null {
  const symbol = (token.symbol ?? "").toLowerCase();
  const name = (token.name ?? "").normalize("NFKC").toLowerCase();
  if (token.mint === written || symbol === wanted) return 0;
  if (symbol.startsWith(wanted)) return 1;
  if (name.startsWith(wanted)) return 2;
  // base58 tells capitals apart
  if (token.mint.startsWith(written)) return 3;
  return symbol.includes(wanted) || name.includes(wanted) ? 4 : null;
}

/** The tokens that `query` may mean, best match first, of equal ones those that are verified; all in their order without one. */
export function searchTokens(tokens: readonly Token[], query: string): Token[] {
  const written = query.trim();
  if (!written) return [...tokens];
  const wanted = written.normalize("NFKC").toLowerCase();
  return tokens
    .map((token, place) => ({ token, place, rank: rank(token, wanted, written) }))
    .filter((found) => found.rank !== null)
    .sort(
      (a, b) =>
        (a.rank ?? 0) - (b.rank ?? 0) ||
        Number(b.token.verified ?? false) - Number(a.token.verified ?? false) ||
        a.place - b.place,
    )
    .map(({ token }) => token);
}
