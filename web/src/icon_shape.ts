/** A picture for a mint, drawn from its address: the same address, the same picture. Nothing is fetched. Pure. */

export interface IconShape {
  hue: number;
  /** Cells of a grid of `SIDE`, mirrored at its middle. */
  cells: { x: number; y: number }[];
}

export const SIDE = 5;

/** FNV-1a of 32 bits: http://www.isthe.com/chongo/tech/comp/fnv/ */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return value;
}

export function iconShape(mint: string): IconShape {
  const bits = hash(mint);
  const cells: IconShape["cells"] = [];
  const half = Math.ceil(SIDE / 2);
  for (let cell = 0; cell < half * SIDE; cell++) {
    if (!((bits >>> cell) & 1)) continue;
    const [x, y] = [cell % half, Math.floor(cell / half)];
    cells.push({ x, y });
    if (x !== SIDE - 1 - x) cells.push({ x: SIDE - 1 - x, y });
  }
  return { hue: hash(`${mint} `) % 360, cells };
}
