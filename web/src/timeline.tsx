import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { inPlainWords } from "./errors";
import { amount, clock, duration, exactDifference, exchangeName, price, shortened, venueName } from "./format";
import { StatusIcon } from "./icons";
import { attempts, fillAgainstQuote, isEnded, lastStep, type StepsTogether, together } from "./order";
import { PlainErrorText } from "./plain_error";
import { condition } from "./price_words";
import { serverNow } from "./server_clock";
import { LIFE, STATUS_WORDS } from "./status_texts";
import { nameOf, namesOf } from "./tokens";
import { legsOf } from "./waiting_prices";
import type { HistoryStep, Order, Status } from "./wire";

const TICK_MS = 100;
const MOST_ATTEMPTS = 3;
const MOST_STEPS = 16;

/** The server's time, again and again while `running`. */
function useServerNow(running: boolean): number {
  const now = useSignal(serverNow());
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => (now.value = serverNow()), TICK_MS);
    return () => clearInterval(timer);
  }, [running]);
  return now.value;
}

/** Where the route goes, each venue once. */
function venues(change: HistoryStep): string {
  const names = change.route?.map(venueName) ?? (change.dexUsed ?? "").split("+").map(exchangeName);
  return [...new Set(names)].join(" and ");
}

/** When it was told that a waiting order would start: an estimate, and once its time has passed no promise any more. */
function startOf(queuedUntil: string): string {
  const at = clock(queuedUntil);
  return Date.parse(queuedUntil) > serverNow() ? `this one starts at ${at}.` : `this one was to start at ${at}.`;
}

/** What set the order off. */
function SetOff({ trigger, order }: { trigger: NonNullable<HistoryStep["trigger"]>; order: Order }): JSX.Element {
  return (
    <>
      Set off by its {trigger.kind} price: the market paid {price(trigger.price)} {nameOf(order.tokenOut)} for each{" "}
      {nameOf(order.tokenIn)}
    </>
  );
}

/** What an order waits for, and why it waits again. */
function Waiting({ change, order, moves }: { change: HistoryStep; order: Order; moves: number }): JSX.Element {
  const again = change.errorCode === undefined ? "" : ` ${inPlainWords(change.errorCode, change.error).what}`;
  return (
    <>
      {change.trigger ? (
        <SetOff trigger={change.trigger} order={order} />
      ) : (
        legsOf(change).map((leg) => (
          <span key={leg.kind} class="step-price">
            {condition(leg, namesOf(order))}
          </span>
        ))
      )}
      {moves > 0 && <span class="step-price">Moved or changed {moves === 1 ? "once" : `${moves} times`}.</span>}
      {again}
    </>
  );
}

/** What came to be known at a step. */
function known({ change, order, moves }: { change: HistoryStep; order: Order; moves: number }): JSX.Element | null {
  if (change.status === "open") return <Waiting change={change} order={order} moves={moves} />;
  if (change.trigger) return <SetOff trigger={change.trigger} order={order} />;
  if (change.status === "pending" && change.queuedUntil)
    return <>Many orders are waiting: {startOf(change.queuedUntil)}</>;
  if (change.status === "building" && change.quotedOut)
    return (
      <>
        {amount(change.quotedOut, nameOf(order.tokenOut))} quoted at {venues(change)}
      </>
    );
  if (change.status === "submitted" && change.txHash)
    return (
      <>
        Transaction <code title={change.txHash}>{shortened(change.txHash)}</code>
      </>
    );
  if (change.status === "confirmed" && change.amountOut) {
    const fill = fillAgainstQuote(order);
    return (
      <>
        {amount(change.amountOut, nameOf(order.tokenOut))} received
        {fill &&
          (fill.tokens.digits === 0n
            ? ", exactly as quoted"
            : `, ${exactDifference(fill, nameOf(order.tokenOut), "")} against the first quote`)}
      </>
    );
  }
  return null;
}

/** Why an attempt failed, and what comes of it. */
function Failure({ change, now, waits }: { change: HistoryStep; now: number; waits: boolean }): JSX.Element {
  const words = inPlainWords(change.errorCode, change.error);
  if (change.terminal !== false) return <PlainErrorText words={words} detail={change.error} />;
  const left = Date.parse(change.at) + (change.retryInMs ?? 0) - now;
  const next = !waits
    ? "It was retried."
    : left > 0
      ? `It will be retried in ${duration(Math.ceil(left / 100) * 100)}.`
      : "It is retried now.";
  return <PlainErrorText words={{ what: words.what, todo: next }} detail={change.error} />;
}

interface RowParts {
  status: Status;
  state: "done" | "now" | "bad" | "retry" | "next";
  time?: string;
  title?: string;
  children?: ComponentChildren;
}

function Row({ status, state, time, title, children }: RowParts): JSX.Element {
  const words = STATUS_WORDS[status];
  return (
    <li class={`step step-${state}`} data-status={status} aria-current={state === "now" ? "step" : undefined}>
      <span class="step-sign">
        <StatusIcon status={status} retrying={state === "retry"} />
      </span>
      <div class="step-text">
        <span class="step-name">{state === "retry" ? "Attempt failed" : words.label}</span>
        <span class="step-what">
          {children ?? (((state === "done" || state === "bad") && words.done) || words.now)}
        </span>
      </div>
      <span class="step-time" title={title}>
        {time}
      </span>
    </li>
  );
}

function Step({ change, since, moves, order, now }: StepsTogether & { order: Order; now: number }): JSX.Element {
  const next = order.history.find((one) => one.seq === change.seq + 1);
  const isLast = next === undefined;
  const at = Date.parse(since);
  const failed = change.status === "failed";
  const final =
    change.status === "confirmed" ||
    change.status === "cancelled" ||
    change.status === "expired" ||
    (failed && change.terminal !== false);
  const state = failed ? (change.terminal === false ? "retry" : "bad") : isLast && !final ? "now" : "done";
  const spent = next ? Date.parse(next.at) - at : isLast && !final ? Math.max(0, now - at) : null;
  return (
    <Row status={change.status} state={state} time={spent === null ? clock(change.at) : duration(spent)} title={since}>
      {failed ? <Failure change={change} now={now} waits={isLast} /> : known({ change, order, moves })}
    </Row>
  );
}

/** The steps that are still to come if all goes well. */
function stepsToCome(order: Order): readonly Status[] {
  if (isEnded(order)) return [];
  return order.status === "failed" ? LIFE.slice(1) : LIFE.slice(LIFE.indexOf(order.status) + 1);
}

/** Steps one after the other; of many the latest at once. */
function Steps({ steps, order, now }: { steps: StepsTogether[]; order: Order; now: number }): JSX.Element {
  const earlier = Math.max(0, steps.length - MOST_STEPS);
  const list = (some: StepsTogether[]): JSX.Element => (
    <ol class="steps">
      {some.map((one) => (
        <Step key={one.change.seq} {...one} order={order} now={now} />
      ))}
    </ol>
  );
  return (
    <>
      {earlier > 0 && (
        <details class="earlier">
          <summary>{earlier} earlier steps</summary>
          {list(steps.slice(0, earlier))}
        </details>
      )}
      {list(steps.slice(earlier))}
    </>
  );
}

function AttemptTitle({ number }: { number: number }): JSX.Element {
  return (
    <h3>
      Attempt {number} of at most {MOST_ATTEMPTS}
    </h3>
  );
}

/** The order's life: each step with the time spent in it, attempt by attempt; of one that waits as it came. */
export function Timeline({ order }: { order: Order }): JSX.Element {
  const now = useServerNow(!isEnded(order));
  const waits = order.type !== "market";
  const tries = waits ? [] : attempts(order);
  const coming = stepsToCome(order);
  return (
    <div class="timeline" data-test="timeline">
      <Steps
        steps={together(waits ? order.history : order.history.filter(({ status }) => status === "pending"))}
        order={order}
        now={now}
      />
      {tries.map(({ number, changes }) => (
        <div key={number} class="attempt">
          {tries.length > 1 && <AttemptTitle number={number} />}
          <Steps steps={together(changes)} order={order} now={now} />
        </div>
      ))}
      {coming.length > 0 && (
        <div class="attempt">
          {order.status === "failed" && <AttemptTitle number={(lastStep(order)?.retryCount ?? 0) + 1} />}
          <ol class="steps">
            {coming.map((status) => (
              <Row key={status} status={status} state="next">
                {""}
              </Row>
            ))}
          </ol>
        </div>
      )}
    </div>
  );
}
