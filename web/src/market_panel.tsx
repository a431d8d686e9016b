import type { JSX } from "preact";
import { Columns } from "./columns";
import { basisPoints, must } from "./decimal";
import { inPlainWords } from "./errors";
import { amount, evenPercent, grouped, percent, shortened, signedShare, venueName } from "./format";
import { Panel } from "./panel";
import { quoteRequest, quoteState, shownQuote } from "./quote_feed";
import { RateChart } from "./rate_chart";
import { RouteDiagram } from "./route_diagram";
import { hops } from "./route_shape";
import { nameOf } from "./tokens";
import { toneOf } from "./venue_tone";
import type { Quote, VenueQuote } from "./wire";

/** What the route is, and what it gains over the best single pool. */
function routeHeadline(quote: Quote): string {
  const parts = hops(quote.route);
  const best = quote.quotes.find((one) => one.amountOut !== undefined)?.amountOut;
  const gain = best === undefined ? null : basisPoints(must(quote.amountOut), must(best));
  const shape =
    parts.length > 1
      ? `Over ${nameOf(parts[0]?.[0]?.tokenOut ?? "")}`
      : quote.route.length > 1
        ? `Split over ${quote.route.length} pools`
        : "One pool";
  if (gain === null) return shape;
  return gain.digits > 0n
    ? `${shape}: ${signedShare(gain).slice(1)} more than the best pool alone`
    : `${shape}: of the ${quote.quotes.length === 1 ? "one pool" : `${quote.quotes.length} pools`} asked none pays more`;
}

function Venue({ venue, quote }: { venue: VenueQuote; quote: Quote }): JSX.Element {
  const leg = quote.route.find((one) => one.pool === venue.pool);
  const name = (
    <th scope="row">
      <span class={`swatch venue tone-${toneOf(venue.dex)}`} aria-hidden />
      {venueName(venue)}{" "}
      <code class="faint" title={venue.pool}>
        {shortened(venue.pool)}
      </code>
      {leg && <span class="share">{percent(leg.share)} of the route</span>}
    </th>
  );
  if (venue.amountOut === undefined) {
    const { what } = inPlainWords(venue.errorCode, venue.error);
    return (
      <tr>
        {name}
        <td colSpan={4} class="refusal" title={venue.error}>
          {what}
        </td>
      </tr>
    );
  }
  const difference = basisPoints(must(venue.amountOut), must(quote.amountOut));
  return (
    <tr>
      {name}
      <td data-label="Pays alone">{amount(venue.amountOut, nameOf(quote.tokenOut))}</td>
      <td data-label="Against route">
        {difference === null ? "–" : difference.digits === 0n ? "same" : signedShare(difference)}
      </td>
      <td data-label="Impact">{venue.priceImpact ? evenPercent(venue.priceImpact) : "–"}</td>
      <td data-label="Fee">{venue.fee && venue.feeToken ? amount(venue.fee, nameOf(venue.feeToken)) : "–"}</td>
    </tr>
  );
}

export function MarketPanel(): JSX.Element {
  const { quote, problem, old } = quoteState.value;
  const isOfTicket = shownQuote.value !== null && !problem && !old;
  return (
    <Panel
      name="market"
      title="Best route"
      beside={
        quote && (
          <p class="panel-note">
            {isOfTicket ? routeHeadline(quote) : `As it was for ${amount(quote.amount, nameOf(quote.tokenIn))}`}
          </p>
        )
      }
    >
      {quote ? (
        <div class={isOfTicket ? "" : "stale"} aria-busy={!isOfTicket}>
          <RouteDiagram route={quote.route} />
          <table class="venues">
            <caption class="unseen">
              What each venue would pay for {grouped(quote.amount)} {nameOf(quote.tokenIn)} alone
            </caption>
            <Columns names={["Venue", "Pays alone", "Against route", "Impact", "Fee"]} />
            <tbody>
              {quote.quotes.map((venue) => (
                <Venue key={venue.pool} venue={venue} quote={quote} />
              ))}
            </tbody>
          </table>
          <RateChart quote={quote} />
        </div>
      ) : (
        <div class="empty">
          {problem ? (
            <p>No quote for this order right now. The ticket says why.</p>
          ) : (
            <p>
              {quoteRequest.value
                ? "Asking the pools…"
                : "Enter an amount: the pair's pools are quoted each second, and the best route is shown here."}
            </p>
          )}
        </div>
      )}
    </Panel>
  );
}
