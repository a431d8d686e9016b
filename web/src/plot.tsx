import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { theme } from "./theme";
import { useWidth } from "./use_width";

interface PlotProps {
  label: string;
  data: uPlot.AlignedData;
  series: (color: (name: string) => string) => uPlot.Series[];
  height: number;
  /** The text of a mark on the vertical axis, and the room for it in pixels. */
  mark: (value: number) => string;
  axisSize: number;
  range: uPlot.Range.Function;
  xRange: uPlot.Range.Function;
  onPoint?: (index: number | null) => void;
  onChoose?: (index: number) => void;
}

function colorOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A chart by uPlot in the page's own colours. */
export function Plot({
  label,
  data,
  series,
  height,
  mark,
  axisSize,
  range,
  xRange,
  onPoint,
  onChoose,
}: PlotProps): JSX.Element {
  const [frame, width] = useWidth();
  const plot = useRef<uPlot | null>(null);
  const look = theme.value;

  useEffect(() => {
    if (!width || !frame.current) return undefined;
    const axis = {
      stroke: colorOf("--muted"),
      grid: { stroke: colorOf("--line"), width: 1 },
      ticks: { show: false },
      font: "12px Inter, system-ui, sans-serif",
    };
    const made = new uPlot(
      {
        width,
        height,
        padding: [8, 4, 8, 0],
        legend: { show: false },
        cursor: { show: onPoint !== undefined, y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: { x: { time: false, range: xRange }, y: { range } },
        axes: [{ show: false }, { ...axis, size: axisSize, space: 28, values: (_plot, marks) => marks.map(mark) }],
        series: [{}, ...series(colorOf)],
        hooks: onPoint ? { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] } : {},
      },
      data,
      frame.current,
    );
    made.over.addEventListener("click", () => made.cursor.idx != null && onChoose?.(made.cursor.idx));
    made.over.addEventListener("mouseleave", () => onPoint?.(null));
    plot.current = made;
    return () => made.destroy();
  }, [width, look]);

  useEffect(() => plot.current?.setData(data), [data]);
  return (
    <div
      class={`plot ${onChoose ? "plot-choose" : ""}`}
      ref={frame}
      role="img"
      aria-label={label}
      style={{ minHeight: `${height}px` }}
    />
  );
}
