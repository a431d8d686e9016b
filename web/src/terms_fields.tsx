/** The fields of an order's terms, of a new order and of one that is changed. */

import type { JSX } from "preact";
import { compare, type Decimal, must, parse, toText } from "./decimal";
import { price as priceText } from "./format";
import { FieldError, NumberField } from "./number_field";
import type { Term, TypedTerms } from "./order_terms";
import { Condition, distanceWords, type Pair, TurnedCondition } from "./price_words";
import { serverNow } from "./server_clock";
import { nameOf } from "./tokens";
import { isReached, type Leg, movedBy, trailingStop } from "./waiting_prices";

export interface TermsForm {
  /** What the fields' ids begin with. */
  prefix: string;
  pair: Pair;
  typed: TypedTerms;
  /** What the best route pays for each whole token of the order's amount now; null while that isn't known. */
  market: Decimal | null;
  errors: Partial<Record<Term, string>>;
  onType: (term: Term, text: string) => void;
  onLeave: (term: Term) => void;
}

const ONE_PERCENT_STEPS = { limit: ["0", "1", "2", "5"], stop: ["-2", "-5", "-10"] };
const PERCENTAGES = {
  slippage: { legend: "Slippage allowed", label: "Slippage in percent", presets: ["0.1", "0.5", "1"] },
  trailing: { legend: "The stop trails the best price by", label: "Trailing in percent", presets: ["2", "5", "10"] },
};
const PRICES = {
  limitPrice: { kind: "limit", label: "Limit price" },
  stopPrice: { kind: "stop", label: "Stop price" },
} as const;

/** A positive price in what is typed; null where there is none. */
function priceIn(text: string): string | null {
  const value = parse(text);
  return value && compare(value, must("0")) > 0 ? toText(value) : null;
}

export function PriceField({ term, form }: { term: "limitPrice" | "stopPrice"; form: TermsForm }): JSX.Element {
  const { prefix, pair, typed, market, errors, onType, onLeave } = form;
  const { kind, label } = PRICES[term];
  const id = prefix + term;
  const price = priceIn(typed[term]);
  return (
    <div class="term">
      <div class="term-head">
        <label for={id}>{label}</label>
        <span class="faint">
          {nameOf(pair.tokenOut)} for each {nameOf(pair.tokenIn)}
        </span>
      </div>
      <NumberField
        id={id}
        value={typed[term]}
        placeholder={market ? toText(movedBy(market, "0")) : ""}
        error={errors[term]}
        describedBy={`${id}-words`}
        onValue={(text) => onType(term, text)}
        onBlur={() => onLeave(term)}
      />
      <FieldError of={id} text={errors[term]} />
      <PriceWords id={`${id}-words`} leg={price === null ? null : { kind, price }} form={form} />
      {market && (
        <div class="steps-row" role="group" aria-label={`${label} from the market`}>
          {ONE_PERCENT_STEPS[kind].map((percent) => (
            <button
              type="button"
              key={percent}
              class="preset"
              onClick={() => onType(term, toText(movedBy(market, percent)))}
            >
              {percent === "0" ? "Market" : `${percent.replace("-", "−").replace(/^(?=\d)/, "+")} %`}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

/** A price in words; nothing while there is none. */
function PriceWords({ id, leg, form }: { id: string; leg: Leg | null; form: TermsForm }): JSX.Element {
  const { pair, market } = form;
  return (
    <p class="price-words" id={id}>
      {leg && (
        <>
          <Condition leg={leg} pair={pair} /> <TurnedCondition leg={leg} pair={pair} />
          {market && (
            <span class={isReached(leg, market) ? "impact-high" : "faint"} data-test={`${leg.kind}-distance`}>
              {distanceWords(leg, market)}, {priceText(toText(market))}
            </span>
          )}
        </>
      )}
    </p>
  );
}

export function PercentField({ term, form }: { term: "slippage" | "trailing"; form: TermsForm }): JSX.Element {
  const { prefix, typed, market, errors, onType, onLeave } = form;
  const { legend, label, presets } = PERCENTAGES[term];
  const id = prefix + term;
  const trails = term === "trailing" && market && !errors.trailing ? parse(typed.trailing) : null;
  const stop =
    trails && trails.digits > 0n && market ? trailingStop(market, { ...trails, scale: trails.scale + 2 }) : null;
  return (
    <fieldset class="slippage">
      <legend>{legend}</legend>
      <div class="slippage-row">
        {presets.map((preset) => (
          <button
            type="button"
            key={preset}
            class="preset"
            aria-pressed={typed[term] === preset}
            onClick={() => onType(term, preset)}
          >
            {preset} %
          </button>
        ))}
        <span class="slippage-own">
          <label class="unseen" for={id}>
            {label}
          </label>
          <NumberField
            id={id}
            value={typed[term]}
            error={errors[term]}
            onValue={(text) => onType(term, text)}
            onBlur={() => onLeave(term)}
          />
          <span aria-hidden="true">%</span>
        </span>
      </div>
      <FieldError of={id} text={errors[term]} />
      {stop && stop.digits > 0n && (
        <p class="price-words">
          At first <Condition leg={{ kind: "stop", price: toText(stop) }} pair={form.pair} />
          <span class="faint">It only moves up, with the best price seen.</span>
        </p>
      )}
    </fieldset>
  );
}

const WAITS: [string, string][] = [
  ["3600", "1 hour"],
  ["86400", "24 hours"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
];

/** Until when an order waits; `kept` is what stands where nothing is chosen. */
export function DeadlineField({ form, kept }: { form: TermsForm; kept: string }): JSX.Element {
  const { prefix, typed, errors, onType, onLeave } = form;
  const id = `${prefix}expiresAt`;
  const text = typed.expiresAt;
  const isOwn = text !== "" && !WAITS.some(([seconds]) => seconds === text);
  const wanted = isOwn ? "own" : text;
  return (
    <div class="term">
      <div class="term-head">
        <label for={id}>Good for</label>
        <select
          id={id}
          value={wanted}
          onChange={({ currentTarget: { value } }) => onType("expiresAt", value === "own" ? localTime() : value)}
        >
          <option value="">{kept}</option>
          {WAITS.filter(([, words]) => words !== kept).map(([seconds, words]) => (
            <option key={seconds} value={seconds}>
              {words}
            </option>
          ))}
          <option value="own">Until a time of my own</option>
        </select>
      </div>
      {isOwn && (
        <input
          type="datetime-local"
          aria-label="Good until, on this device's clock"
          value={text}
          aria-invalid={errors.expiresAt !== undefined}
          aria-describedby={errors.expiresAt ? `error-${id}` : undefined}
          onInput={(event) => onType("expiresAt", event.currentTarget.value || " ")}
          onBlur={() => onLeave("expiresAt")}
        />
      )}
      <FieldError of={id} text={errors.expiresAt} />
    </div>
  );
}

/** This time tomorrow, as a field for local times has it. */
function localTime(): string {
  const at = new Date(serverNow() + 86_400_000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const OPTIONAL = { minOut: "Receive at least", maxTries: "Tries before it fails" };

/** Terms that may be left out. */
export function OptionalField({ term, form }: { term: "minOut" | "maxTries"; form: TermsForm }): JSX.Element {
  const { prefix, typed, errors, onType, onLeave, pair } = form;
  const id = prefix + term;
  return (
    <div class="term">
      <div class="term-head">
        <label for={id}>{OPTIONAL[term]}</label>
        <NumberField
          id={id}
          value={typed[term]}
          placeholder={term === "minOut" ? nameOf(pair.tokenOut) : "10"}
          error={errors[term]}
          onValue={(text) => onType(term, text)}
          onBlur={() => onLeave(term)}
        />
      </div>
      <FieldError of={id} text={errors[term]} />
    </div>
  );
}
