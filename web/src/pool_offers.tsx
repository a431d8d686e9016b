import type { JSX } from "preact";
import { basisPoints, must } from "./decimal";
import { inPlainWords } from "./errors";
import { amount, shortened, signedShare, venueName } from "./format";
import { nameOf } from "./tokens";
import { toneOf } from "./venue_tone";
import type { Order, VenueQuote } from "./wire";

const SHOWN_AT_ONCE = 6;

/** What the pool would have paid for the whole order, and how that compares with the route; or why it would not. */
function Offer({ offer, order }: { offer: VenueQuote; order: Order }): JSX.Element {
  if (offer.amountOut === undefined)
    return (
      <span class="refusal" title={offer.error}>
        {inPlainWords(offer.errorCode, offer.error).what}
      </span>
    );
  const difference = order.quotedOut ? basisPoints(must(offer.amountOut), must(order.quotedOut)) : null;
  return (
    <>
      {amount(offer.amountOut, nameOf(order.tokenOut))}
      {difference && (
        <span class="faint"> {difference.digits === 0n ? "same as the route" : signedShare(difference)}</span>
      )}
    </>
  );
}

/** What each pool offered when the order's route was chosen. */
export function PoolOffers({ order }: { order: Order }): JSX.Element | null {
  if (!order.quotes) return null;
  return (
    <details class="offers" data-test="offers" open={order.quotes.length <= SHOWN_AT_ONCE}>
      <summary>What each pool offered</summary>
      <dl class="facts">
        {order.quotes.map((offer) => (
          <div key={offer.pool}>
            <dt>
              <span class={`swatch venue tone-${toneOf(offer.dex)}`} aria-hidden />
              {venueName(offer)}{" "}
              <code class="faint" title={offer.pool}>
                {shortened(offer.pool)}
              </code>
            </dt>
            <dd>
              <Offer offer={offer} order={order} />
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
