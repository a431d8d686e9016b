import { useComputed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { announce } from "./announcer";
import { balanceOf } from "./balances";
import { placeWithCare } from "./confirmation";
import { compare, type Decimal, must, toText } from "./decimal";
import { sentence } from "./errors";
import { accountUrl } from "./explorer";
import { about, amount as amountText, evenPercent, grouped, price, roundedAmount } from "./format";
import { SwapIcon } from "./icons";
import { detailOf, PlainErrorText, wordsFor } from "./plain_error";
import { QuoteAge } from "./quote_age";
import { quoteState, shownQuote, ticketIsVisible } from "./quote_feed";
import { whyOff } from "./readiness";
import { halfOf, mostOf } from "./spendable";
import * as ticket from "./ticket";
import { TokenButton } from "./token_picker";
import { decimalsOf, idOf, isShownScaled, nameOf, tokenOf } from "./tokens";
import { Costs } from "./total_cost";
import { trial } from "./trial";
import type { Quote, Token } from "./wire";

const PRESETS = ["0.1", "0.5", "1"];
const HIGH_IMPACT = must("0.01");
const SEVERE_IMPACT = must("0.03");

function FieldError({ field, text }: { field: ticket.Field; text?: string | undefined }): JSX.Element | null {
  return text === undefined ? null : (
    <p class="field-error" id={`error-${field}`}>
      {text}
    </p>
  );
}

/** A comma that is typed is a decimal point, which some phones' keyboards lack. One that is pasted may be anything. */
function pointForComma(event: InputEvent & { currentTarget: HTMLInputElement }): void {
  if (event.data !== ",") return;
  event.preventDefault();
  event.currentTarget.setRangeText(
    ".",
    event.currentTarget.selectionStart ?? 0,
    event.currentTarget.selectionEnd ?? 0,
    "end",
  );
  event.currentTarget.dispatchEvent(new Event("input", { bubbles: true }));
}

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

function Terms({ quote }: { quote: Quote | null }): JSX.Element {
  const nothing = <span class="faint">–</span>;
  const tone = impactTone(quote?.priceImpact ?? null);
  return (
    <>
      <dl class="terms">
        <div>
          <dt>Rate</dt>
          <dd title={quote?.price}>
            {quote ? `1 ${nameOf(quote.tokenIn)} = ${price(quote.price)} ${nameOf(quote.tokenOut)}` : nothing}
          </dd>
        </div>
        <div>
          <dt>Receive at least</dt>
          <dd data-test="min-out">{quote ? amountText(quote.minOut, nameOf(quote.tokenOut)) : nothing}</dd>
        </div>
        <div>
          <dt>Price impact</dt>
          <dd class={`impact-${tone}`} data-test="impact">
            {quote ? evenPercent(quote.priceImpact) : nothing}
          </dd>
        </div>
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
          <button type="button" class="small" onClick={sell(halfOf(held, decimals))}>
            Half
          </button>
          <button
            type="button"
            class="small"
            onClick={sell(most)}
            title={held.free === undefined ? undefined : "All but what rent and network fees may take"}
          >
            Max
          </button>
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

function buttonText(): string {
  if (ticket.sending.value === "sending") return "Placing…";
  if (ticket.sending.value === "placed") return "Order placed";
  const body = ticket.order.value;
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
    const found: ticket.FieldErrors = { ...ticket.fieldsOf(quoteState.value.problem), ...ticket.refusedFields.value };
    for (const [field, text] of Object.entries(ticket.fieldErrors.value)) {
      if (touched.value.has(field) || field === "tokenOut") found[field as ticket.Field] = text;
    }
    return found;
  });
  return {
    shown: shown.value,
    touch: (field) => (touched.value = new Set([...touched.value, field])),
    touchAll: () => (touched.value = new Set(["amount", "slippage"])),
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
      const first = (["amount", "tokenOut", "slippage"] as const).find((field) => ticket.fieldErrors.peek()[field]);
      document
        .getElementById(first === "tokenOut" ? "token-out" : first === "slippage" ? "slippage" : "amount")
        ?.focus();
      return;
    }
    if (whyOff.peek()) announce(whyOff.peek() ?? "");
    else if (ticket.sending.peek() === "idle") await placeWithCare(shownQuote.peek());
  }

  const failure = ticket.sendingProblem.value;
  return (
    <section class="panel ticket" ref={panel} aria-labelledby="ticket-title">
      <h2 id="ticket-title">Order ticket</h2>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <div class="leg">
          <div class="leg-head">
            <label class="leg-label" for="amount">
              You pay
            </label>
            <TokenButton side="in" />
          </div>
          <input
            id="amount"
            class={`amount ${sizeOf(ticket.amount.value)}`}
            inputMode="decimal"
            autocomplete="off"
            spellcheck={false}
            placeholder="0"
            value={ticket.amount.value}
            aria-invalid={errors.amount !== undefined}
            aria-describedby={errors.amount ? "error-amount" : undefined}
            onBeforeInput={pointForComma}
            onInput={(event) => (ticket.amount.value = event.currentTarget.value)}
            onBlur={() => touch("amount")}
          />
          <FieldError field="amount" text={errors.amount} />
          <Held token={ticket.tokenIn.value} sells />
        </div>
        <div class="swap-row">
          <button
            type="button"
            class="swap"
            onClick={ticket.swapTokens}
            aria-label="Swap the two tokens"
            title="Swap the two tokens: what would be received is paid"
          >
            <SwapIcon />
          </button>
        </div>
        <div class="leg">
          <div class="leg-head">
            <span class="leg-label" id="receive-label">
              You receive, as quoted
            </span>
            <TokenButton side="out" error={errors.tokenOut} />
          </div>
          <output
            class={`amount ${sizeOf(quote ? grouped(quote.amountOut) : "")} ${quote && !old && !problem ? "" : "stale"}`}
            aria-labelledby="receive-label"
            aria-live="off"
            data-test="amount-out"
          >
            {quote ? grouped(quote.amountOut) : <span class="faint">{request && !problem ? "…" : "–"}</span>}
          </output>
          <FieldError field="tokenOut" text={errors.tokenOut ?? errors.tokenIn} />
          <Held token={ticket.tokenOut.value} />
        </div>
        <fieldset class="slippage">
          <legend>Slippage allowed</legend>
          <div class="slippage-row">
            {PRESETS.map((preset) => (
              <button
                type="button"
                key={preset}
                class="preset"
                aria-pressed={ticket.slippage.value === preset}
                onClick={() => (ticket.slippage.value = preset)}
              >
                {preset} %
              </button>
            ))}
            <span class="slippage-own">
              <label class="unseen" for="slippage">
                Slippage in percent
              </label>
              <input
                id="slippage"
                inputMode="decimal"
                autocomplete="off"
                value={ticket.slippage.value}
                aria-invalid={errors.slippage !== undefined}
                aria-describedby={errors.slippage ? "error-slippage" : undefined}
                onBeforeInput={pointForComma}
                onInput={(event) => (ticket.slippage.value = event.currentTarget.value)}
                onBlur={() => touch("slippage")}
              />
              <span aria-hidden="true">%</span>
            </span>
          </div>
          <FieldError field="slippage" text={errors.slippage} />
        </fieldset>
        <Terms quote={quote} />
        <Risks />
        <ScaledAmounts />
        {trial.value?.warnings.map((warning) => (
          <p key={warning} class="notice notice-warn" role="status">
            {sentence(warning)}
          </p>
        ))}
        {problem && (
          <p class="notice notice-warn" role="status">
            <PlainErrorText words={wordsFor(problem)} detail={detailOf(problem)} />
          </p>
        )}
        {failure && (
          <p class="notice notice-bad" role="alert">
            <PlainErrorText
              words={
                ticket.isOutcomeUnknown(failure)
                  ? {
                      what: "No answer came: the order may have been placed, or not.",
                      todo: "Press the button again. It can't become a second order.",
                    }
                  : wordsFor(failure)
              }
              detail={detailOf(failure)}
            />
          </p>
        )}
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
