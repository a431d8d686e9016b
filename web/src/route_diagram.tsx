import type { JSX } from "preact";
import { amount, exchangeName, grouped, percent, venueName } from "./format";
import { hops, routeShape } from "./route_shape";
import { nameOf } from "./tokens";
import { useWidth } from "./use_width";
import { toneOf } from "./venue_tone";
import type { Leg } from "./wire";

// How wide a character of the smallest text is at most, on average.
const CHARACTER = 6.4;
// How much wider the bold text is, and how much room a share takes: "99.99 %" and a gap.
const BOLD = 1.4;
const SHARE = 58;

/** The first of the texts that has room in so many pixels, or none. */
function fitting(width: number, ...texts: string[]): string {
  return texts.find((text) => text.length * CHARACTER <= width) ?? "";
}

/** The route in a sentence, for who can't see its drawing. */
export function routeInWords(route: readonly Leg[]): string {
  const parts = hops(route).map((legs) => {
    const pools = legs.map((leg) => `${percent(leg.share)} at ${venueName(leg)}`).join(" and ");
    return `${nameOf(legs[0]?.tokenIn ?? "")} to ${nameOf(legs[0]?.tokenOut ?? "")}, ${pools}`;
  });
  return `Route: ${parts.join("; then ")}.`;
}

/** The route as a stream that parts over pools and comes together again. */
export function RouteDiagram({ route }: { route: readonly Leg[] }): JSX.Element {
  const [frame, width] = useWidth();
  const inset = 8;
  const shape = routeShape(route, Math.max(0, width - 2 * inset));
  /** How wide the name of one of so many tokens may be beside the others'. */
  const room = (tokens: number): number => (width - 2 * inset) / Math.max(tokens, 2) - 6;
  return (
    <div class="route" ref={frame}>
      {width > 0 && (
        <svg
          width={width}
          height={shape.height}
          viewBox={`${-inset} 0 ${width} ${shape.height}`}
          role="img"
          aria-label={routeInWords(route)}
          data-test="route"
        >
          {shape.ribbons.map((ribbon, index) => (
            <path
              key={index}
              class={`ribbon tone-${toneOf(ribbon.dex)}`}
              d={ribbon.path}
              stroke-width={ribbon.thickness}
              fill="none"
            />
          ))}
          {shape.boxes.map(({ leg, x, y, width: w, height: h, shared }) => (
            <g key={leg.pool} class={`pool tone-${toneOf(leg.dex)}`}>
              <rect x={x} y={y} width={w} height={h} rx="6" />
              <text x={x + 10} y={y + 19} class="pool-name">
                {fitting(
                  (w - 20 - (shared ? SHARE : 0)) / BOLD,
                  venueName(leg),
                  exchangeName(leg.dex),
                  `${exchangeName(leg.dex).slice(0, 3)}.`,
                )}
              </text>
              {shared && w >= SHARE + 20 && (
                <text x={x + w - 10} y={y + 19} class="pool-share" text-anchor="end">
                  {percent(leg.share)}
                </text>
              )}
              <text x={x + 10} y={y + 36} class="pool-amount">
                {fitting(w - 20, amount(leg.expectedOut, nameOf(leg.tokenOut)), grouped(leg.expectedOut))}
              </text>
            </g>
          ))}
          {shape.tokens.map((token, index) => (
            <g key={index} class="token">
              <rect x={token.x - 3} y={token.y - token.height / 2} width="6" height={token.height} rx="3" />
              <text
                x={token.x}
                y={token.y - token.height / 2 - 8}
                text-anchor={index === 0 ? "start" : index === shape.tokens.length - 1 ? "end" : "middle"}
              >
                {fitting(room(shape.tokens.length) / BOLD, nameOf(token.token), nameOf(token.token).slice(0, 5))}
              </text>
            </g>
          ))}
        </svg>
      )}
    </div>
  );
}
