import type { JSX } from "preact";
import { iconShape, SIDE } from "./icon_shape";

/** A token's picture, drawn from its mint: whoever made the token has no say in it. */
export function TokenIcon({ mint, size = 22 }: { mint: string; size?: number }): JSX.Element {
  const { hue, cells } = iconShape(mint);
  const margin = 1.4;
  const whole = SIDE + 2 * margin;
  return (
    <svg class="token-icon" viewBox={`0 0 ${whole} ${whole}`} width={size} height={size} aria-hidden>
      <circle cx={whole / 2} cy={whole / 2} r={whole / 2} fill={`hsl(${hue} 42% 32%)`} />
      {cells.map(({ x, y }) => (
        <rect key={`${x} ${y}`} x={margin + x} y={margin + y} width="1.02" height="1.02" fill={`hsl(${hue} 70% 84%)`} />
      ))}
    </svg>
  );
}
