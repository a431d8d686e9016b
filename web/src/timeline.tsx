import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { inPlainWords } from "./errors";
import { amount, clock, duration, exactDifference, exchangeName, price, shortened, venueName } from "./format";
import { StatusIcon } from "./icons";
import { attempts, fillAgainstQuote, isEnded, lastStep, type StepsTogether, waitedTogether } from "./order";
import { PlainErrorText } from "./plain_error";
import { condition } from "./price_words";
import { serverNow } from "./server_clock";
import { LIFE, STATUS_WORDS } from "./status_texts";
import { nameOf } from "./tokens";
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
            {condition(leg, order)}
          </span>
        ))
      )}
      {moves > 0 && <span class="step-price">Moved or changed {moves === 1 ? "once" : `${moves} times`}.</span>}
      {again}
    </>
  );
}

/** What came to be known at a step. */
function Known({ change, order, moves }: { change: HistoryStep; order: Order; moves: number }): JSX.Element | null {
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
        <span class="step-what">{children ?? (state === "done" || state === "bad" ? words.done : words.now)}</span>
      </div>
      <span class="step-time" title={title}>
        {time}
      </span>
    </li>
  );
}

function Step({
  change,
  next,
  order,
  now,
  since = change.at,
  moves = 0,
}: {
  change: HistoryStep;
  next: HistoryStep | undefined;
  order: Order;
  now: number;
} & Partial<StepsTogether>): JSX.Element {
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
  const known = failed ? (
    <Failure change={change} now={now} waits={isLast} />
  ) : (
    <Known change={change} order={order} moves={moves} />
  );
  const hasKnown =
    failed ||
    change.status === "open" ||
    change.trigger ||
    change.queuedUntil ||
    change.quotedOut ||
    change.txHash ||
    change.amountOut;
  return (
    <Row status={change.status} state={state} time={spent === null ? clock(change.at) : duration(spent)} title={since}>
      {hasKnown ? known : undefined}
    </Row>
  );
}

/** The steps that are still to come if all goes well. */
function stepsToCome(order: Order): readonly Status[] {
  if (isEnded(order)) return [];
  return order.status === "failed" ? LIFE.slice(1) : LIFE.slice(LIFE.indexOf(order.status) + 1);
}

function ToCome({ coming }: { coming: readonly Status[] }): JSX.Element {
  return (
    <ol class="steps">
      {coming.map((status) => (
        <Row key={status} status={status} state="next">
          {""}
        </Row>
      ))}
    </ol>
  );
}

/** The life of an order that waited for its price, which it may do again and again: the latest steps of it at once. */
function WaitedTimeline({ order, now, coming }: { order: Order; now: number; coming: readonly Status[] }): JSX.Element {
  const all = waitedTogether(order);
  const steps = (from: number, to: number): JSX.Element => (
    <ol class="steps">
      {all.slice(from, to).map((together, index) => (
        <Step key={together.since} {...together} next={all[from + index + 1]?.change} order={order} now={now} />
      ))}
    </ol>
  );
  const earlier = all.length > MOST_STEPS ? all.length - MOST_STEPS : 0;
  return (
    <div class="timeline" data-test="timeline">
      {earlier > 0 && (
        <details class="earlier">
          <summary>{earlier} earlier steps</summary>
          {steps(0, earlier)}
        </details>
      )}
      {steps(earlier, all.length)}
      {coming.length > 0 && (
        <div class="attempt">
          <ToCome coming={coming} />
        </div>
      )}
    </div>
  );
}

/** The order's life: each step with the time spent in it, attempt by attempt. */
export function Timeline({ order }: { order: Order }): JSX.Element {
  const now = useServerNow(!isEnded(order));
  const nextOf = (change: HistoryStep): HistoryStep | undefined =>
    order.history.find((one) => one.seq === change.seq + 1);
  const tries = attempts(order);
  const coming = stepsToCome(order);
  const last = lastStep(order);
  if (order.type !== "market") return <WaitedTimeline order={order} now={now} coming={coming} />;
  return (
    <div class="timeline" data-test="timeline">
      <ol class="steps">
        {order.history
          .filter((change) => change.status === "pending")
          .map((change) => (
            <Step key={change.seq} change={change} next={nextOf(change)} order={order} now={now} />
          ))}
      </ol>
      {tries.map((attempt) => (
        <div key={attempt.number} class="attempt">
          {tries.length > 1 && (
            <h3>
              Attempt {attempt.number} of at most {MOST_ATTEMPTS}
            </h3>
          )}
          <ol class="steps">
            {attempt.changes.map((change) => (
              <Step key={change.seq} change={change} next={nextOf(change)} order={order} now={now} />
            ))}
          </ol>
        </div>
      ))}
      {coming.length > 0 && (
        <div class="attempt">
          {order.status === "failed" && (
            <h3>
              Attempt {(last?.retryCount ?? 0) + 1} of at most {MOST_ATTEMPTS}
            </h3>
          )}
          <ToCome coming={coming} />
        </div>
      )}
    </div>
  );
}
