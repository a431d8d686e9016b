import type { JSX } from "preact";
import { unitValueOf } from "./balances";
import { costOf, valued } from "./cost";
import { type Decimal, plus, must, quotient, rounded, toText } from "./decimal";
import { Fact } from "./fact";
import { about, amount as amountText, evenPercent } from "./format";
import { decimalsOf, nameOf } from "./tokens";
import { trial } from "./trial";
import type { Quote } from "./wire";

const REFERENCE = "USDC";
const USDC_PLACES = 2;

interface Total {
  inToken: Decimal;
  inReference: Decimal | null;
}

/** Impact and pool fees, and the network's fee where it and prices for it are known. */
function totalOf(quote: Quote, networkFee: string | null): Total {
  const impact = costOf(quote).impact;
  const unit =
    quote.tokenOut === REFERENCE
      ? must("1")
      : (unitValueOf(quote.tokenOut) ??
        // what is received isn't held: by what is paid, at the quote's own price
        ((): Decimal | null => {
          const paid = unitValueOf(quote.tokenIn);
          return paid && quotient(valued(paid, must(quote.amount)), must(quote.amountOut), 18);
        })());
  const sol = unitValueOf("SOL");
  if (!unit || unit.digits === 0n) return { inToken: impact, inReference: null };
  const network = networkFee && sol ? valued(must(networkFee), sol) : must("0");
  return {
    inToken: plus(impact, quotient(network, unit, 18)),
    inReference: plus(valued(impact, unit), network),
  };
}

/** What the order costs in all, and of what that is made. */
export function Costs({ quote }: { quote: Quote }): JSX.Element {
  const fee = trial.value?.networkFee ?? null;
  const total = totalOf(quote, fee);
  const out = nameOf(quote.tokenOut);
  return (
    <>
      <Fact name="Pool fees">
        {quote.fees.map((each) => (
          <span key={each.token} class="fee">
            {amountText(each.amount, nameOf(each.token))}
          </span>
        ))}
      </Fact>
      <Fact name="Network fee" test="network-fee">
        {fee === null ? <span class="faint">–</span> : `about ${amountText(fee, "SOL")}`}
      </Fact>
      <Fact name="Total cost" title="Pool fees and price impact together, and the network's fee" test="total-cost">
        <span class="fee">
          {amountText(toText(rounded(total.inToken, decimalsOf(quote.tokenOut) ?? 9)), out)} (
          {evenPercent(quote.priceImpact)})
        </span>
        {total.inReference && quote.tokenOut !== REFERENCE && (
          <span class="fee faint">≈ {about(total.inReference, USDC_PLACES)} USDC</span>
        )}
      </Fact>
    </>
  );
}
