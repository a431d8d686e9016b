import { useComputed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { announce } from "./announcer";
import { compare, must } from "./decimal";
import { amount as amountText, evenPercent, grouped, price } from "./format";
import { SwapIcon } from "./icons";
import { detailOf, PlainErrorText, wordsFor } from "./plain_error";
import { QuoteAge } from "./quote_age";
import { quoteRequest, quoteState, ticketIsVisible } from "./quote_feed";
import * as ticket from "./ticket";
import { idOf, isShownScaled, nameOf, tokens } from "./tokens";
import type { Quote } from "./wire";

const PRESETS = ["0.1", "0.5", "1"];
const HIGH_IMPACT = must("0.01");
const SEVERE_IMPACT = must("0.05");

function TokenChoice({
  label,
  choice,
  error,
}: {
  label: string;
  choice: typeof ticket.tokenIn;
  error?: string | undefined;
}): JSX.Element {
  const names = tokens.value.length ? tokens.value.map(idOf) : [choice.value];
  const id = `token-${label.toLowerCase().replace(" ", "-")}`;
  return (
    <>
      <label class="unseen" for={id}>
        {label}: token
      </label>
      <select
        id={id}
        value={choice.value}
        aria-invalid={error !== undefined}
        aria-describedby={error ? "error-tokenOut" : undefined}
        onChange={(event) => (choice.value = event.currentTarget.value)}
      >
        {names.map((name) => (
          <option key={name} value={name}>
            {nameOf(name)}
          </option>
        ))}
      </select>
    </>
  );
}

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

function Terms({ quote, current }: { quote: Quote | null; current: boolean }): JSX.Element {
  const nothing = <span class="faint">–</span>;
  const tone = impactTone(quote?.priceImpact ?? null);
  return (
    <dl class="terms">
      <div>
        <dt>Rate</dt>
        <dd title={quote?.price}>
          {quote ? `1 ${nameOf(quote.tokenIn)} = ${price(quote.price)} ${nameOf(quote.tokenOut)}` : nothing}
        </dd>
      </div>
      <div>
        <dt>Receive at least</dt>
        <dd data-test="min-out">{quote && current ? amountText(quote.minOut, nameOf(quote.tokenOut)) : nothing}</dd>
      </div>
      <div>
        <dt>Price impact</dt>
        <dd class={`impact-${tone}`} data-test="impact">
          {quote?.priceImpact ? evenPercent(quote.priceImpact) : nothing}
        </dd>
      </div>
      <div>
        <dt>Pool fees</dt>
        <dd>
          {quote
            ? quote.fees.map((fee) => (
                <span key={fee.token} class="fee">
                  {amountText(fee.amount, nameOf(fee.token))}
                </span>
              ))
            : nothing}
        </dd>
      </div>
      {IMPACT_WORDS[tone] && <p class={`caution caution-${tone}`}>{IMPACT_WORDS[tone]}</p>}
    </dl>
  );
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
    const found: ticket.FieldErrors = { ...ticket.refusedFields.value };
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
  const { quote, current, problem } = quoteState.value;
  const request = ticket.order.value;

  useEffect(() => {
    if (request) {
      const { type: _type, ...rest } = request;
      quoteRequest.value = rest;
    } else quoteRequest.value = null;
    ticket.refusedFields.value = {};
    ticket.sendingProblem.value = null;
  }, [JSON.stringify(request)]);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    touchAll();
    if (!ticket.order.peek()) {
      const first = (["amount", "tokenOut", "slippage"] as const).find((field) => ticket.fieldErrors.peek()[field]);
      document
        .getElementById(first === "tokenOut" ? "token-you-receive" : first === "slippage" ? "slippage" : "amount")
        ?.focus();
      return;
    }
    if (await ticket.place()) announce("Order placed.");
  }

  const failure = ticket.sendingProblem.value;
  return (
    <section class="panel ticket" ref={panel} aria-labelledby="ticket-title">
      <h2 id="ticket-title">Order ticket</h2>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <div class="leg">
          <label class="leg-label" for="amount">
            You pay
          </label>
          <div class="leg-row">
            <input
              id="amount"
              class="amount"
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
            <TokenChoice label="You pay" choice={ticket.tokenIn} />
          </div>
          <FieldError field="amount" text={errors.amount} />
        </div>
        <div class="swap-row">
          <button
            type="button"
            class="swap"
            onClick={ticket.swapTokens}
            aria-label="Swap the two tokens"
            title="Swap the two tokens"
          >
            <SwapIcon />
          </button>
        </div>
        <div class="leg">
          <span class="leg-label" id="receive-label">
            You receive, as quoted
          </span>
          <div class="leg-row">
            <output
              class={`amount ${current ? "" : "stale"}`}
              aria-labelledby="receive-label"
              aria-live="off"
              data-test="amount-out"
            >
              {quote ? grouped(quote.amountOut) : <span class="faint">{request && !problem ? "…" : "–"}</span>}
            </output>
            <TokenChoice label="You receive" choice={ticket.tokenOut} error={errors.tokenOut} />
          </div>
          <FieldError field="tokenOut" text={errors.tokenOut ?? errors.tokenIn} />
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
        <Terms quote={quote} current={current} />
        <ScaledAmounts />
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
        <button type="submit" class="primary" aria-disabled={ticket.sending.value !== "idle"}>
          {buttonText()}
        </button>
        <QuoteAge />
      </form>
    </section>
  );
}
