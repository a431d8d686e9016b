/** Where the parts of a route's drawing stand. Pure; floats are pixels. */

import { must, toPixels } from "./decimal";
import type { Leg } from "./wire";

export interface Box {
  leg: Leg;
  x: number;
  y: number;
  width: number;
  height: number;
  /** Whether it is one of several, and its share therefore worth saying. */
  shared: boolean;
}

export interface TokenNode {
  token: string;
  x: number;
  y: number;
  height: number;
}

export interface Ribbon {
  path: string;
  thickness: number;
  dex: string;
}

export interface RouteShape {
  height: number;
  tokens: TokenNode[];
  boxes: Box[];
  ribbons: Ribbon[];
}

const BOX_HEIGHT = 46;
const GAP = 12;
const MARGIN = 22;
const TRUNK = 40;
const THINNEST = 2;
// The longest name of a venue beside its share.
const WIDEST_BOX = 216;

/** The legs by hop: those into the same token stand side by side. */
export function hops(route: readonly Leg[]): Leg[][] {
  const found: Leg[][] = [];
  for (const leg of route) {
    const last = found[found.length - 1];
    if (last && last[0]?.tokenIn === leg.tokenIn && last[0].tokenOut === leg.tokenOut) last.push(leg);
    else found.push([leg]);
  }
  return found;
}

/** Draw `route` into `width` pixels. */
export function routeShape(route: readonly Leg[], width: number): RouteShape {
  const parts = hops(route);
  const rows = Math.max(1, ...parts.map((legs) => legs.length));
  const height = 2 * MARGIN + rows * BOX_HEIGHT + (rows - 1) * GAP;
  const middle = height / 2;
  const trunk = Math.min(TRUNK, BOX_HEIGHT);
  const step = width / Math.max(1, parts.length);
  const tokens: TokenNode[] = parts.map((legs, index) => ({
    token: legs[0]?.tokenIn ?? "",
    x: index * step,
    y: middle,
    height: trunk,
  }));
  const end = parts[parts.length - 1]?.[0]?.tokenOut;
  if (end !== undefined) tokens.push({ token: end, x: width, y: middle, height: trunk });
  const boxes: Box[] = [];
  const ribbons: Ribbon[] = [];
  parts.forEach((legs, index) => {
    const from = index * step;
    const to = from + step;
    const boxWidth = Math.min(WIDEST_BOX, step * 0.66);
    const top = middle - (legs.length * BOX_HEIGHT + (legs.length - 1) * GAP) / 2;
    let offset = middle - trunk / 2;
    legs.forEach((leg, row) => {
      const thickness = Math.max(THINNEST, toPixels(must(leg.share)) * trunk);
      const box = {
        leg,
        x: (from + to - boxWidth) / 2,
        y: top + row * (BOX_HEIGHT + GAP),
        width: boxWidth,
        height: BOX_HEIGHT,
        shared: legs.length > 1,
      };
      const [start, centre] = [offset + thickness / 2, box.y + BOX_HEIGHT / 2];
      boxes.push(box);
      ribbons.push({ path: curve(from, start, box.x, centre), thickness, dex: leg.dex });
      ribbons.push({ path: curve(box.x + boxWidth, centre, to, start), thickness, dex: leg.dex });
      offset += thickness;
    });
  });
  return { height, tokens, boxes, ribbons };
}

function curve(x1: number, y1: number, x2: number, y2: number): string {
  const bend = (x1 + x2) / 2;
  return `M${x1},${y1} C${bend},${y1} ${bend},${y2} ${x2},${y2}`;
}
