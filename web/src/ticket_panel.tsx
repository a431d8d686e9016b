import { useComputed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { announce } from "./announcer";
import { balanceOf } from "./balances";
import { Button } from "./button";
import { compare, type Decimal, must, toText } from "./decimal";
import { sentence } from "./errors";
import { accountUrl } from "./explorer";
import { Fact } from "./fact";
import { about, amount as amountText, evenPercent, grouped, price, roundedAmount } from "./format";
import { SwapIcon } from "./icons";
import { FieldError, NumberField } from "./number_field";
import { type Kind, KINDS } from "./order";
import { placeWithCare } from "./placing";
import { ErrorNotice } from "./plain_error";
import { QuoteAge } from "./quote_age";
import { quoteState, shownQuote, ticketIsVisible } from "./quote_feed";
import { whyOff } from "./readiness";
import { halfOf, mostOf } from "./spendable";
import { KIND_WORDS } from "./status_texts";
import { type TermsForm, TermsFields } from "./terms_fields";
import * as ticket from "./ticket";
import { TokenButton } from "./token_picker";
import { decimalsOf, idOf, isShownScaled, nameOf, namesOf, tokenOf } from "./tokens";
import { Costs } from "./total_cost";
import { trial } from "./trial";
import { received, WaitingTerms } from "./waiting_terms";
import type { Quote, Token } from "./wire";

const HIGH_IMPACT = must("0.01");
const SEVERE_IMPACT = must("0.03");

function impactTone(impact: string | null): "fine" | "high" | "severe" {
  if (impact === null) return "fine";
  if (compare(must(impact), SEVERE_IMPACT) >= 0) return "severe";
  return compare(must(impact), HIGH_IMPACT) >= 0 ? "high" : "fine";
}

const IMPACT_WORDS = {
  fine: null,
  high: "High price impact: this order moves the price.",
  severe: "Very high price impact: you get much less than the market price.",
};

function MarketTerms({ quote }: { quote: Quote | null }): JSX.Element {
  const nothing = <span class="faint">–</span>;
  const tone = impactTone(quote?.priceImpact ?? null);
  return (
    <>
      <dl class="terms">
        <Fact name="Rate" title={quote?.price}>
          {quote ? `1 ${nameOf(quote.tokenIn)} = ${price(quote.price)} ${nameOf(quote.tokenOut)}` : nothing}
        </Fact>
        <Fact name="Receive at least" test="min-out">
          {quote ? amountText(quote.minOut, nameOf(quote.tokenOut)) : nothing}
        </Fact>
        <Fact name="Price impact" class={`impact-${tone}`} test="impact">
          {quote ? evenPercent(quote.priceImpact) : nothing}
        </Fact>
        {quote && <Costs quote={quote} />}
      </dl>
      {IMPACT_WORDS[tone] && <p class={`caution caution-${tone}`}>{IMPACT_WORDS[tone]}</p>}
    </>
  );
}

/** What the wallet holds of a side's token, and on the paying side how to sell it. */
function Held({ token, sells }: { token: string; sells?: boolean }): JSX.Element | null {
  const held = balanceOf(token);
  if (!held) return null;
  const decimals = decimalsOf(token) ?? 9;
  const sell = (some: Decimal) => () => (ticket.amount.value = toText(some));
  const most = mostOf(held);
  return (
    <p class="held">
      <span title={`${grouped(held.amount)} ${nameOf(token)}`} data-test={sells ? "balance-in" : "balance-out"}>
        Wallet: {roundedAmount(held.amount, nameOf(token))}
        {held.value !== undefined && token !== "USDC" && held.amount !== "0" && (
          <span class="faint"> ≈ {about(must(held.value), 2)} USDC</span>
        )}
      </span>
      {sells && most.digits > 0n && (
        <span class="held-buttons">
          <Button class="small" onClick={sell(halfOf(held, decimals))}>
            Half
          </Button>
          <Button
            class="small"
            onClick={sell(most)}
            title={held.free === undefined ? undefined : "All but what rent and network fees may take"}
          >
            Max
          </Button>
        </span>
      )}
    </p>
  );
}

/** What the issuers of the ticket's tokens may still do to whoever holds them, and which of the two nobody vouches for. */
function Risks(): JSX.Element | null {
  const chosen = [ticket.tokenIn.value, ticket.tokenOut.value]
    .map(tokenOf)
    .filter((token): token is Token => token !== undefined && !token.verified);
  if (chosen.length === 0) return null;
  return (
    <details class="notice notice-warn risks" data-test="risks">
      <summary>
        {chosen.map((token) => nameOf(idOf(token))).join(" and ")}: not verified
        {chosen.some((token) => token.risks?.length) && ", and its issuer keeps powers over it"}
      </summary>
      {chosen.map((token) => (
        <ul key={token.mint}>
          <li>
            <Mint address={token.mint} />
            {token.name && (
              <>
                {" "}
                calls itself <bdi>“{token.name}”</bdi>
              </>
            )}
          </li>
          {token.risks?.map(({ risk, meaning }) => (
            <li key={risk}>{sentence(meaning)}</li>
          ))}
        </ul>
      ))}
    </details>
  );
}

function Mint({ address }: { address: string }): JSX.Element {
  const url = accountUrl(address);
  const mint = <code>{address}</code>;
  return url ? (
    <a href={url} target="_blank" rel="noreferrer">
      {mint}
    </a>
  ) : (
    mint
  );
}

/** How large a number is written, so that all of it is in sight. */
function sizeOf(text: string): string {
  return text.length <= 11 ? "" : text.length <= 16 ? "amount-m" : text.length <= 22 ? "amount-s" : "amount-xs";
}

/** Of tokens whose amounts wallets show multiplied: that the ticket's are not. */
function ScaledAmounts(): JSX.Element | null {
  const scaled = [ticket.tokenIn.value, ticket.tokenOut.value].filter(isShownScaled).map(nameOf);
  return scaled.length === 0 ? null : (
    <p class="notice" data-test="scaled-ui">
      Amounts of {scaled.join(" and ")} are what is moved on the chain. Wallets may show them multiplied, by the
      issuer's factor or by interest.
    </p>
  );
}

const KIND_MEANINGS: Record<Kind, string> = {
  market: "Trades now, at the best route's price.",
  limit: "Waits until its price is paid, and never sells for less.",
  stop: "Sells once the market pays no more than its price.",
  trailing: "A stop that follows the best price seen.",
  oco: "A limit and a stop for one amount: whichever comes first.",
};

/** Which order the ticket is of. */
function Kinds(): JSX.Element {
  return (
    <fieldset class="kinds" aria-describedby="kind-meaning">
      <legend class="unseen">Order type</legend>
      <div class="kinds-row">
        {KINDS.map((kind) => (
          <label key={kind}>
            <input
              type="radio"
              name="kind"
              class="unseen"
              value={kind}
              checked={ticket.kind.value === kind}
              onChange={() => (ticket.kind.value = kind)}
            />
            <span>{KIND_WORDS[kind]}</span>
          </label>
        ))}
      </div>
      <p class="small-print" id="kind-meaning">
        {KIND_MEANINGS[ticket.kind.value]}
      </p>
    </fieldset>
  );
}

function buttonText(): string {
  if (ticket.sending.value === "sending") return "Placing…";
  if (ticket.sending.value === "placed") return "Order placed";
  const body = ticket.order.value;
  if (ticket.waits.value) {
    const name = `Place ${KIND_WORDS[ticket.kind.value].toLowerCase()} order`.replace("oco", "OCO");
    return body ? `${name}: ${amountText(body.amount, nameOf(body.tokenIn))}` : name;
  }
  return body ? `Swap ${amountText(body.amount, nameOf(body.tokenIn))} for ${nameOf(body.tokenOut)}` : "Swap";
}

/** Tells the quote feed whether the ticket is on the screen. */
function useVisibility(): { current: HTMLElement | null } {
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => (ticketIsVisible.value = entry?.isIntersecting ?? true));
    if (panel.current) observer.observe(panel.current);
    return () => observer.disconnect();
  }, []);
  return panel;
}

/** What the ticket itself finds wrong is said once a field was left or the order was tried. */
function useErrors(): { shown: ticket.FieldErrors; touch: (field: ticket.Field) => void; touchAll: () => void } {
  const touched = useSignal<ReadonlySet<string>>(new Set());
  const shown = useComputed(() => {
    const found: ticket.FieldErrors = {
      ...ticket.fieldsOf(quoteState.value.problem),
      ...trial.value?.fields,
      ...ticket.refusedFields.value,
    };
    for (const [field, text] of Object.entries(ticket.fieldErrors.value)) {
      if (touched.value.has(field) || field === "tokenOut") found[field as ticket.Field] = text;
    }
    return found;
  });
  return {
    shown: shown.value,
    touch: (field) => (touched.value = new Set([...touched.value, field])),
    touchAll: () => (touched.value = new Set(["amount", ...ticket.terms.peek()])),
  };
}

export function TicketPanel(): JSX.Element {
  const panel = useVisibility();
  const { shown: errors, touch, touchAll } = useErrors();
  const { problem, old } = quoteState.value;
  const quote = shownQuote.value;
  const request = ticket.order.value;
  const off = whyOff.value;

  useEffect(() => {
    ticket.refusedFields.value = {};
    ticket.sendingProblem.value = null;
  }, [JSON.stringify(request)]);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    touchAll();
    if (!ticket.order.peek()) {
      const wrong = ticket.fieldErrors.peek();
      const first = (["amount", "tokenOut", ...ticket.terms.peek()] as const).find((field) => wrong[field]);
      const field = first && document.getElementById(first === "tokenOut" ? "token-out" : first);
      field?.closest("details")?.setAttribute("open", "");
      field?.focus();
      return;
    }
    if (whyOff.peek()) announce(whyOff.peek() ?? "");
    else if (ticket.sending.peek() === "idle") await placeWithCare(shownQuote.peek());
  }

  const failure = ticket.sendingProblem.value;
  const waits = ticket.waits.value;
  const { label, amount: shown } = waits
    ? received(quote)
    : { label: "You receive, as quoted", amount: quote?.amountOut ?? null };
  const form: TermsForm = {
    prefix: "",
    pair: namesOf({ tokenIn: ticket.tokenIn.value, tokenOut: ticket.tokenOut.value }),
    terms: ticket.terms.value,
    typed: ticket.typed.value,
    market: quote && must(quote.price),
    best: quote && must(quote.price),
    errors,
    onType: ticket.typeTerm,
    onLeave: touch,
    onStopBy: ticket.kind.value === "oco" ? (stopBy) => (ticket.ocoStopBy.value = stopBy) : undefined,
    kept: "24 hours",
  };
  return (
    <section class="panel ticket" ref={panel} aria-labelledby="ticket-title">
      <h2 id="ticket-title">Order ticket</h2>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Kinds />
        <div class="leg">
          <div class="leg-head">
            <label class="leg-label" for="amount">
              You pay
            </label>
            <TokenButton side="in" />
          </div>
          <NumberField
            id="amount"
            class={`amount ${sizeOf(ticket.amount.value)}`}
            placeholder="0"
            value={ticket.amount.value}
            error={errors.amount}
            onValue={(text) => (ticket.amount.value = text)}
            onBlur={() => touch("amount")}
          />
          <FieldError of="amount" text={errors.amount} />
          <Held token={ticket.tokenIn.value} sells />
        </div>
        <div class="swap-row">
          <Button
            class="swap"
            onClick={ticket.swapTokens}
            aria-label="Swap the two tokens"
            title="Swap the two tokens: what would be received is paid"
          >
            <SwapIcon />
          </Button>
        </div>
        <div class="leg">
          <div class="leg-head">
            <span class="leg-label" id="receive-label">
              {label}
            </span>
            <TokenButton side="out" error={errors.tokenOut} />
          </div>
          <output
            class={`amount ${sizeOf(shown === null ? "" : grouped(shown))} ${quote && !old && !problem ? "" : "stale"}`}
            aria-labelledby="receive-label"
            aria-live="off"
            data-test="amount-out"
          >
            {shown === null ? <span class="faint">{request && !problem ? "…" : "–"}</span> : grouped(shown)}
          </output>
          <FieldError of="tokenOut" text={errors.tokenOut ?? errors.tokenIn} />
          <Held token={ticket.tokenOut.value} />
        </div>
        <TermsFields form={form} />
        {waits ? <WaitingTerms quote={quote} /> : <MarketTerms quote={quote} />}
        <Risks />
        <ScaledAmounts />
        {trial.value?.warnings.map((warning) => (
          <p key={warning} class="notice notice-warn" role="status">
            {sentence(warning)}
          </p>
        ))}
        <ErrorNotice error={problem} role="status" />
        <ErrorNotice
          error={failure}
          role="alert"
          tone="bad"
          words={
            failure && ticket.isOutcomeUnknown(failure)
              ? {
                  what: "No answer came: the order may have been placed, or not.",
                  todo: "Press the button again. It can't become a second order.",
                }
              : null
          }
        />
        <button
          type="submit"
          class="primary"
          aria-disabled={ticket.sending.value !== "idle" || off !== null}
          aria-describedby={off ? "why-off" : undefined}
        >
          {buttonText()}
        </button>
        {off && (
          <p class="why-off" id="why-off" data-test="why-off">
            {off}
          </p>
        )}
        <QuoteAge />
      </form>
    </section>
  );
}
