/** The fields of an order's terms: of a new order, and of one that is changed. */

import type { ComponentChildren, JSX } from "preact";
import { Button } from "./button";
import { compare, type Decimal, must, parse, shift, toText } from "./decimal";
import { price as priceText } from "./format";
import { FieldError, NumberField } from "./number_field";
import type { StopBy, Term, TypedTerms } from "./order_terms";
import { condition, distanceWords, type Pair, turnedCondition } from "./price_words";
import { serverNow } from "./server_clock";
import { isReached, type Leg, movedBy, trailingStop } from "./waiting_prices";

export interface TermsForm {
  /** What the fields' ids begin with. */
  prefix: string;
  pair: Pair;
  terms: readonly Term[];
  typed: TypedTerms;
  /** What the best route pays for each whole token of the order's amount now; null while that isn't known. */
  market: Decimal | null;
  /** The best price that a trailing stop would begin from. */
  best: Decimal | null;
  errors: Partial<Record<Term, string>>;
  onType: (term: Term, text: string) => void;
  onLeave: (term: Term) => void;
  /** Where the choice is whether the stop is at a price or trails. */
  onStopBy?: ((stopBy: StopBy) => void) | undefined;
  /** What is called the deadline that holds where none is chosen. */
  kept: string;
}

type PriceTerm = "limitPrice" | "stopPrice";
type PercentTerm = "slippage" | "trailing";

const ZERO = must("0");
const PRICES = {
  limitPrice: { kind: "limit", label: "Limit price", steps: ["0", "1", "2", "5"] },
  stopPrice: { kind: "stop", label: "Stop price", steps: ["-2", "-5", "-10"] },
} as const;
const PERCENTAGES = {
  slippage: { legend: "Slippage allowed", label: "Slippage in percent", presets: ["0.1", "0.5", "1"] },
  trailing: { legend: "The stop trails the best price by", label: "Trailing in percent", presets: ["2", "5", "10"] },
};
const OPTIONAL = { minOut: "Receive at least", maxTries: "Tries before it fails" };
const WAITS: [string, string][] = [
  ["3600", "1 hour"],
  ["86400", "24 hours"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
];

interface FieldProps<T extends Term> {
  term: T;
  form: TermsForm;
}

function TermField({
  term,
  form: { prefix, typed, errors, onType, onLeave },
  ...more
}: FieldProps<Term> & { placeholder?: string; describedBy?: string }): JSX.Element {
  return (
    <NumberField
      {...more}
      id={prefix + term}
      value={typed[term]}
      error={errors[term]}
      onValue={(text) => onType(term, text)}
      onBlur={() => onLeave(term)}
    />
  );
}

/** A term with its label and what is wrong with it. */
function Labelled({
  term,
  form: { prefix, errors },
  label,
  beside,
  children,
}: FieldProps<Term> & { label: string; beside: ComponentChildren; children?: ComponentChildren }): JSX.Element {
  const id = prefix + term;
  return (
    <div class="term">
      <div class="term-head">
        <label for={id}>{label}</label>
        {beside}
      </div>
      {children}
      <FieldError of={id} text={errors[term]} />
    </div>
  );
}

function Presets({
  texts,
  chosen,
  words,
  onChoose,
}: {
  texts: readonly string[];
  chosen?: string;
  words: (text: string) => string;
  onChoose: (text: string) => void;
}): JSX.Element {
  return (
    <>
      {texts.map((text) => (
        <Button
          key={text}
          class="preset"
          aria-pressed={chosen === undefined ? undefined : text === chosen}
          onClick={() => onChoose(text)}
        >
          {words(text)}
        </Button>
      ))}
    </>
  );
}

/** "+5 %" of "5". */
function stepWords(percent: string): string {
  return percent === "0" ? "Market" : `${percent.replace(/^-|^/, (sign) => (sign ? "−" : "+"))} %`;
}

function PriceField({ term, form }: FieldProps<PriceTerm>): JSX.Element {
  const { prefix, pair, typed, market, onType } = form;
  const { kind, label, steps } = PRICES[term];
  const value = parse(typed[term]);
  const leg: Leg | null = value && compare(value, ZERO) > 0 ? { kind, price: toText(value) } : null;
  return (
    <Labelled
      term={term}
      form={form}
      label={label}
      beside={
        <span>
          {pair.tokenOut} for each {pair.tokenIn}
        </span>
      }
    >
      <TermField
        term={term}
        form={form}
        placeholder={market ? toText(movedBy(market, "0")) : ""}
        describedBy={`${prefix + term}-words`}
      />
      <p class="price-words" id={`${prefix + term}-words`}>
        {leg && (
          <>
            <span>{condition(leg, pair)}</span> <span>{turnedCondition(leg, pair)}</span>
            {market && (
              <span class={isReached(leg, market) ? "impact-high" : ""} data-test={`${kind}-distance`}>
                {distanceWords(leg, market)}, {priceText(toText(market))}
              </span>
            )}
          </>
        )}
      </p>
      {market && (
        <div class="slippage-row" role="group" aria-label={`${label} from the market`}>
          <Presets
            texts={steps}
            words={stepWords}
            onChoose={(percent) => onType(term, toText(movedBy(market, percent)))}
          />
        </div>
      )}
    </Labelled>
  );
}

function PercentField({ term, form }: FieldProps<PercentTerm>): JSX.Element {
  const { prefix, typed, best, errors, onType } = form;
  const { legend, label, presets } = PERCENTAGES[term];
  const id = prefix + term;
  const share = term === "trailing" ? parse(typed.trailing) : null;
  const stop = share && share.digits > 0n && best ? trailingStop(best, shift(share, -2)) : null;
  return (
    <fieldset class="slippage">
      <legend>{legend}</legend>
      <div class="slippage-row">
        <Presets
          texts={presets}
          chosen={typed[term]}
          words={(text) => `${text} %`}
          onChoose={(text) => onType(term, text)}
        />
        <span class="slippage-own">
          <label class="unseen" for={id}>
            {label}
          </label>
          <TermField term={term} form={form} />
          <span aria-hidden>%</span>
        </span>
      </div>
      <FieldError of={id} text={errors[term]} />
      {stop && stop.digits > 0n && (
        <p class="price-words">
          <span>It begins at {condition({ kind: "stop", price: toText(stop) }, form.pair)}</span>
          and only moves up, with the best price seen.
        </p>
      )}
    </fieldset>
  );
}

/** Until when an order waits. */
function DeadlineField({ form }: { form: TermsForm }): JSX.Element {
  const { prefix, typed, errors, onType, onLeave, kept } = form;
  const id = `${prefix}expiresAt`;
  const text = typed.expiresAt;
  const isOwn = text !== "" && !WAITS.some(([seconds]) => seconds === text);
  return (
    <Labelled
      term="expiresAt"
      form={form}
      label="Good for"
      beside={
        <select
          id={id}
          value={isOwn ? "own" : text}
          onChange={({ currentTarget: { value } }) => onType("expiresAt", value === "own" ? tomorrow() : value)}
        >
          <option value="">{kept}</option>
          {WAITS.filter(([, words]) => words !== kept).map(([seconds, words]) => (
            <option key={seconds} value={seconds}>
              {words}
            </option>
          ))}
          <option value="own">A time of my own</option>
        </select>
      }
    >
      {isOwn && (
        <input
          type="datetime-local"
          aria-label="Good until, on this device's clock"
          value={text}
          aria-invalid={errors.expiresAt !== undefined}
          aria-describedby={errors.expiresAt && `error-${id}`}
          onInput={(event) => onType("expiresAt", event.currentTarget.value || " ")}
          onBlur={() => onLeave("expiresAt")}
        />
      )}
    </Labelled>
  );
}

/** This time tomorrow, as a field for local times has it. */
function tomorrow(): string {
  const at = new Date(serverNow() + 86_400_000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function OptionalField({ term, form }: FieldProps<"minOut" | "maxTries">): JSX.Element {
  const placeholder = term === "minOut" ? form.pair.tokenOut : "10";
  return (
    <Labelled
      term={term}
      form={form}
      label={OPTIONAL[term]}
      beside={<TermField term={term} form={form} placeholder={placeholder} />}
    />
  );
}

/** Of an order with a stop: whether it is at a price or trails. */
function StopChoice({ form, onStopBy }: { form: TermsForm; onStopBy: (stopBy: StopBy) => void }): JSX.Element {
  return (
    <label class="term-head">
      Stop
      <select
        value={form.terms.includes("trailing") ? "trailing" : "stopPrice"}
        onChange={({ currentTarget: { value } }) => onStopBy(value as StopBy)}
      >
        <option value="stopPrice">At a price</option>
        <option value="trailing">Trailing</option>
      </select>
    </label>
  );
}

/** The fields that a form's order has, those that decide first. */
export function TermsFields({ form }: { form: TermsForm }): JSX.Element {
  const has = (term: Term): boolean => form.terms.includes(term);
  return (
    <>
      {has("limitPrice") && <PriceField term="limitPrice" form={form} />}
      <div class="term">
        {form.onStopBy && <StopChoice form={form} onStopBy={form.onStopBy} />}
        {has("stopPrice") && <PriceField term="stopPrice" form={form} />}
        {has("trailing") && <PercentField term="trailing" form={form} />}
      </div>
      {has("slippage") && <PercentField term="slippage" form={form} />}
      {has("expiresAt") && <DeadlineField form={form} />}
      {has("maxTries") ? (
        <details class="more-terms">
          <summary>More terms</summary>
          <OptionalField term="minOut" form={form} />
          <OptionalField term="maxTries" form={form} />
        </details>
      ) : (
        has("minOut") && <OptionalField term="minOut" form={form} />
      )}
    </>
  );
}
