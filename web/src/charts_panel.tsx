import { computed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import uPlot from "uplot";
import { charted, type ChartedOrder, percentile, stacked } from "./chart_data";
import { Columns } from "./columns";
import { clock, bps as exactBps } from "./format";
import { listed } from "./listing";
import { fillAgainstQuote, type Step, STEPS } from "./order";
import { Panel } from "./panel";
import { Plot } from "./plot";
import { addressOf, open, openByLink } from "./selection";
import { nameOf } from "./tokens";

const HEIGHT = 190;
const STEP_NAMES: Record<Step, string> = {
  waiting: "Waiting",
  routing: "Routing",
  building: "Building",
  confirming: "Confirming",
  retrying: "Waiting to retry",
};

const shown = computed(() => charted(listed.value));
const places = computed(() => shown.value.map((_, index) => index));
const fillData = computed<uPlot.AlignedData>(() => [places.value, shown.value.map(({ fill }) => fill)]);
// The highest edge first, so that each bar covers the lower part of the one before.
const stepData = computed<uPlot.AlignedData>(() => [places.value, ...stacked(shown.value).reverse()]);

function seconds(value: number): string {
  return value < 0.9995 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(2)} s`;
}

function rounded(value: number): string {
  return String(Math.round(value * 100) / 100).replace("-", "−");
}

function bps(value: number): string {
  return `${value > 0 ? "+" : ""}${rounded(value)} bps`;
}

function nameOfOrder({ order }: ChartedOrder): string {
  return `${nameOf(order.tokenIn)} to ${nameOf(order.tokenOut)}, ${clock(order.createdAt)}`;
}

const openAt = (index: number): void => {
  const orderId = shown.peek()[index]?.order.orderId;
  if (orderId) open(orderId);
};

/** Zero in sight, and at least a few basis points around it. */
const fillRange: uPlot.Range.Function = (_plot, min, max) => {
  const reach = Math.max(2, Math.abs(min), Math.abs(max)) * 1.15;
  return [min < 0 ? -reach : -reach / 4, max > 0 ? reach : reach / 4];
};

const orderRange: uPlot.Range.Function = (_plot, min, max) => [min - 0.7, max + 0.7];

const stepRange: uPlot.Range.Function = (_plot, _min, max) => [0, Math.max(0.1, max * 1.05)];

const fillSeries = (color: (name: string) => string): uPlot.Series[] => [
  {
    stroke: color("--accent"),
    paths: () => null,
    points: { show: true, size: 7, fill: color("--accent"), stroke: color("--surface"), width: 1 },
  },
];

const stepSeries = (color: (name: string) => string): uPlot.Series[] =>
  [...STEPS].reverse().map((step) => ({
    fill: color(`--step-${step}`),
    stroke: color("--surface"),
    width: 0,
    points: { show: false },
    ...(uPlot.paths.bars && { paths: uPlot.paths.bars({ size: [0.72, 14] }) }),
  }));

function FillTable({ orders }: { orders: readonly ChartedOrder[] }): JSX.Element {
  return (
    <details class="as-table">
      <summary>Both charts as a table</summary>
      <div class="as-table-view" tabIndex={0} role="region" aria-label="Fills and times of the charted orders">
        <table>
          <Columns names={["Order", "Against quote", ...STEPS.map((step) => STEP_NAMES[step]), "Total"]} />
          <tbody>
            {[...orders].reverse().map((one) => {
              const fill = fillAgainstQuote(one.order);
              return (
                <tr key={one.order.orderId}>
                  <th scope="row">
                    <a href={addressOf(one.order.orderId)} onClick={(event) => openByLink(event, one.order.orderId)}>
                      {nameOfOrder(one)}
                    </a>
                  </th>
                  <td>{fill && exactBps(fill)}</td>
                  {STEPS.map((step) => (
                    <td key={step}>{seconds(one.seconds[step])}</td>
                  ))}
                  <td>{seconds(one.total)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </details>
  );
}

export function ChartsPanel(): JSX.Element {
  const orders = shown.value;
  const pointed = useSignal<number | null>(null);
  const one = pointed.value === null ? undefined : orders[pointed.value];
  const fills = orders.map(({ fill }) => fill);
  const totals = orders.map(({ total }) => total);
  const point = (index: number | null): void => void (pointed.value = index);
  return (
    <Panel
      name="charts"
      title="Execution quality"
      beside={
        <p class="panel-note">
          {orders.length > 0 && `the latest ${orders.length} confirmed orders of the table, oldest on the left`}
        </p>
      }
    >
      {orders.length === 0 ? (
        <p class="empty">
          Once orders are confirmed, this shows how close they came to their quotes, and where their time went.
        </p>
      ) : (
        <>
          <div class="charts-pair">
            <figure>
              <figcaption>
                <strong>Fill against quote</strong>
                <span>
                  {one
                    ? `${nameOfOrder(one)}: ${bps(one.fill)}`
                    : `median ${bps(percentile(fills, 0.5))} · worst ${bps(Math.min(...fills))}`}
                </span>
              </figcaption>
              <Plot
                label={`Fill against quote in basis points, ${orders.length} orders: median ${bps(percentile(fills, 0.5))}, worst ${bps(Math.min(...fills))}, best ${bps(Math.max(...fills))}.`}
                data={fillData.value}
                series={fillSeries}
                height={HEIGHT}
                mark={(mark) => `${rounded(mark)} bps`}
                axisSize={62}
                range={fillRange}
                xRange={orderRange}
                onPoint={point}
                onChoose={openAt}
              />
              <p class="legend">
                <span>above zero: better than quoted</span>
              </p>
            </figure>
            <figure>
              <figcaption>
                <strong>Time by step</strong>
                <span>
                  {one
                    ? `${nameOfOrder(one)}: ${STEPS.filter((step) => one.seconds[step] > 0)
                        .map((step) => `${STEP_NAMES[step].toLowerCase()} ${seconds(one.seconds[step])}`)
                        .join(", ")}`
                    : `median ${seconds(percentile(totals, 0.5))} · 95 % within ${seconds(percentile(totals, 0.95))}`}
                </span>
              </figcaption>
              <Plot
                label={`Time by step, ${orders.length} orders: median ${seconds(percentile(totals, 0.5))}, 95 percent within ${seconds(percentile(totals, 0.95))}.`}
                data={stepData.value}
                series={stepSeries}
                height={HEIGHT}
                mark={(mark) => `${rounded(mark)} s`}
                axisSize={52}
                range={stepRange}
                xRange={orderRange}
                onPoint={point}
                onChoose={openAt}
              />
              <p class="legend">
                {STEPS.map((step) => (
                  <span key={step}>
                    <i class={`swatch step-${step}`} aria-hidden />
                    {STEP_NAMES[step]}
                  </span>
                ))}
              </p>
            </figure>
          </div>
          <FillTable orders={orders} />
        </>
      )}
    </Panel>
  );
}
