/** Changing an order that waits, in its own row: what is sent is what was changed. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { announce } from "./announcer";
import { api } from "./api";
import { Button } from "./button";
import type { Decimal } from "./decimal";
import { isChangeable, isEnded } from "./order";
import { changes, type StopBy, type Term, termErrors, termsOf, type TypedTerms, typedTerms } from "./order_terms";
import { keep } from "./orders_store";
import { askAboutMistake } from "./placing";
import { ErrorNotice } from "./plain_error";
import { serverNow } from "./server_clock";
import { type TermsForm, TermsFields } from "./terms_fields";
import { type FieldErrors, fieldsOf, looksLikeAMistake } from "./ticket";
import { decimalsOf, nameOf, namesOf } from "./tokens";
import { bestOf } from "./waiting_prices";
import type { Order, OrderChanges } from "./wire";

export function ChangeForm({
  order,
  market,
  onDone,
}: {
  order: Order;
  market: Decimal | null;
  onDone: () => void;
}): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const before = useRef(typedTerms(order, decimalsOf(order.tokenOut)));
  const typed = useSignal<TypedTerms>(before.current);
  const stopBy = useSignal<StopBy>(order.trailing === undefined ? "stopPrice" : "trailing");
  const touched = useSignal<ReadonlySet<Term>>(new Set());
  const problem = useSignal<Error | null>(null);
  const busy = useSignal(false);
  const prefix = `change-${order.orderId}-`;
  const terms = termsOf(order.type, stopBy.value).filter((term) => term !== "maxTries");
  const out = { name: nameOf(order.tokenOut), decimals: decimalsOf(order.tokenOut) };
  const wrong = termErrors(terms, typed.value, out, serverNow());
  const named: FieldErrors = { ...fieldsOf(problem.value) };
  for (const [term, text] of Object.entries(wrong)) if (touched.value.has(term as Term)) named[term as Term] = text;
  const wanted = (): OrderChanges => changes(terms, before.current, typed.value, serverNow());

  useEffect(() => form.current?.querySelector("input")?.focus(), []);

  async function send(sent: OrderChanges): Promise<void> {
    if (busy.peek()) return;
    busy.value = true;
    problem.value = null;
    try {
      keep([await api.change(order.orderId, sent)]);
      announce("Order changed.");
      onDone();
    } catch (error) {
      problem.value = error as Error;
      if (looksLikeAMistake(error))
        askAboutMistake(error, "Change it all the same", () => void send({ ...sent, force: true }));
    }
    busy.value = false;
  }

  function submit(event: SubmitEvent): void {
    event.preventDefault();
    touched.value = new Set(terms);
    const first = terms.find((term) => wrong[term]);
    if (first) document.getElementById(prefix + first)?.focus();
    else if (Object.keys(wanted()).length) void send(wanted());
    else onDone();
  }

  const fields: TermsForm = {
    prefix,
    pair: namesOf(order),
    terms,
    typed: typed.value,
    market,
    best: market && bestOf(order, market),
    errors: named,
    onType: (term, text) => {
      typed.value = { ...typed.peek(), [term]: text };
      problem.value = null;
    },
    onLeave: (term) => (touched.value = new Set([...touched.peek(), term])),
    onStopBy: order.type === "limit" ? undefined : (chosen) => (stopBy.value = chosen),
    kept: "As it is",
  };
  const hasFields = Object.keys(fieldsOf(problem.value)).length > 0;
  return (
    <form class="change" ref={form} onSubmit={submit} noValidate aria-label="Change this order">
      <div class="change-fields">
        <TermsFields form={fields} />
      </div>
      {!isChangeable(order) && (
        <p class="notice notice-warn" role="alert">
          {isEnded(order)
            ? "It has ended meanwhile and can't be changed any more."
            : "Its price was reached meanwhile: it can be cancelled, but no longer changed."}
        </p>
      )}
      <ErrorNotice error={hasFields ? null : problem.value} role="alert" />
      <p class="dialog-end">
        <Button class="secondary" onClick={onDone}>
          Leave it
        </Button>
        <button type="submit" class="primary" aria-disabled={busy.value}>
          Change order
        </button>
      </p>
    </form>
  );
}
