import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { grouped } from "./format";
import { quoteState } from "./quote_feed";
import { online } from "./reachability";

const TICK_MS = 200;

/** How old the quote is: told by eyes only, for a reader to whom it matters can ask for it. */
export function QuoteAge(): JSX.Element {
  const now = useSignal(performance.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  const { quote, madeAt, current } = quoteState.value;
  if (!quote) return <p class="age">Quotes refresh each second.</p>;
  const seconds = Math.max(0, now.value - madeAt) / 1000;
  const old = seconds > 3 || !online.value;
  return (
    <p class={`age ${old ? "age-old" : ""}`} data-test="quote-age">
      <span class={`pulse ${current && !old ? "pulse-on" : ""}`} aria-hidden />
      Quote {seconds.toFixed(1)} s old · slot {grouped(String(quote.slot))}
      {old && " · not refreshed"}
    </p>
  );
}
