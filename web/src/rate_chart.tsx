import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import uPlot from "uplot";
import { must, toPixels } from "./decimal";
import { shortened, venueName } from "./format";
import { Plot } from "./plot";
import { rateHistory } from "./quote_history";
import { nameOf } from "./tokens";
import { dashesOf, toneOf } from "./venue_tone";
import type { Quote } from "./wire";

const HEIGHT = 132;
const SHORTEST_SECONDS = 30;
// A pool so much below the route (a part of 1) is not worth flattening the others for.
const FAR = 0.005;

// How wide a digit of the axis is.
const CHARACTER = 8;

function rateMark(rate: number): string {
  return rate.toLocaleString("en", { maximumSignificantDigits: 7 });
}

/** The nearest to the rates that are worth a look: a pool that is far off the best would flatten the rest. */
function rateRange(plot: uPlot): uPlot.Range.MinMax {
  const best = (plot.data[1] ?? []).filter((rate) => rate != null);
  if (!best.length) return [0, 1];
  const [low, high] = [Math.min(...best), Math.max(...best)];
  const reach = Math.max(high - low, high * 0.0005);
  const near = plot.data
    .slice(2)
    .flatMap((rates) => [...rates].filter((rate) => rate != null && rate > low * (1 - FAR))) as number[];
  const bottom = Math.min(low, ...near);
  const edge = Math.max(high - bottom, reach) * 0.12;
  return [bottom - edge, high + edge];
}

function isFar(amountOut: string | undefined, best: string): boolean {
  return amountOut === undefined || toPixels(must(amountOut)) < toPixels(must(best)) * (1 - FAR);
}

/** The rate of the route and of each venue alone, over the last two minutes. */
export function RateChart({ quote }: { quote: Quote }): JSX.Element {
  const data = useComputed<uPlot.AlignedData>(() => {
    const { seconds, route, venues } = rateHistory.value;
    return [seconds, route, ...venues.map(({ rates }) => rates)];
  });
  const pools = quote.quotes.map((offer) => ({
    dex: offer.dex,
    pool: offer.pool,
    name: venueName(offer),
    far: isFar(offer.amountOut, quote.amountOut),
  }));
  const series = (color: (name: string) => string): uPlot.Series[] => [
    { stroke: color("--ink"), width: 2, points: { show: false } },
    ...pools.map(({ dex }) => ({
      stroke: color(`--tone-${toneOf(dex)}`),
      width: 1.5,
      dash: dashesOf(dex),
      points: { show: false },
      spanGaps: false,
    })),
  ];
  const title = `1 ${nameOf(quote.tokenIn)} in ${nameOf(quote.tokenOut)}, the last two minutes`;
  return (
    <figure class="rates">
      <figcaption>
        <strong>{title}</strong>
        <span class="legend">
          <span>
            <i class="line line-route" aria-hidden />
            Route
          </span>
          {pools.map(({ dex, pool, name, far }) => (
            <span key={pool}>
              <i class={`line line-venue tone-${toneOf(dex)}`} aria-hidden />
              {name} {pools.filter((one) => one.name === name).length > 1 && shortened(pool)}
              {far && " (far below)"}
            </span>
          ))}
        </span>
      </figcaption>
      <Plot
        key={pools.map(({ pool }) => pool).join()}
        label={`${title}. The table of venues has the latest numbers.`}
        data={data.value}
        series={series}
        height={HEIGHT}
        axisSize={Math.max(76, CHARACTER * rateMark(toPixels(must(quote.price))).length + 20)}
        mark={rateMark}
        range={rateRange}
        xRange={(_plot, first) => [Math.min(first, -SHORTEST_SECONDS), 0]}
      />
    </figure>
  );
}
