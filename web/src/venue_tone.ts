/** How an exchange looks: by its name alone, so that one nobody has heard of yet has its colour too. */

/** As many as style/base.css has colours, `--tone-0` and so on. */
const TONES = 6;
const DASHED = [7, 4];
const DOTTED = [2, 3];

/** Which of the colours: the same for the same name, always. */
export function toneOf(dex: string): number {
  let hash = 0;
  for (const character of dex) hash = (hash * 31 + character.codePointAt(0)!) % 65_521;
  return hash % TONES;
}

/** A line's dashes in pixels; charts.css has the same for the legend. */
export function dashesOf(dex: string): number[] {
  return toneOf(dex) % 2 ? DASHED : DOTTED;
}
