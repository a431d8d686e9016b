import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./button";
import { useCancelling } from "./cancelling";
import { ChangeForm } from "./change_form";
import { type Decimal, toText } from "./decimal";
import { inPlainWords } from "./errors";
import { amount, clock, percent, price, roundedAmount } from "./format";
import { To } from "./icons";
import { changedId, marketPrice, openOrders, seenOrders } from "./open_orders";
import { isCancellable, isChangeable, kindOf, lastStep } from "./order";
import { Panel } from "./panel";
import { ErrorNotice } from "./plain_error";
import { condition, shortDistance } from "./price_words";
import { addressOf, openByLink } from "./selection";
import { StatusBadge } from "./status_badge";
import { KIND_WORDS } from "./status_texts";
import { nameOf, namesOf } from "./tokens";
import { bestSeen, legsOf } from "./waiting_prices";
import type { Order } from "./wire";

const AT_ONCE = 20;
const TITLE = "open-orders-title";

function Legs({ order, market }: { order: Order; market: Decimal | null }): JSX.Element {
  const out = nameOf(order.tokenOut);
  if (order.trigger)
    return (
      <p class="open-legs">
        Set off at {price(order.trigger.price)} {out}
        {order.status === "open" && order.minOut && `, waits for its floor of ${amount(order.minOut, out)}`}
      </p>
    );
  return (
    <ul class="open-legs" aria-label="Its prices">
      {legsOf(order).map((leg) => (
        <li key={leg.kind}>
          <span>
            <span title={leg.price}>{condition(leg, namesOf(order))}</span>
            {leg.kind === "stop" && order.trailing && (
              <span class="faint trails">
                {percent(order.trailing)} below the best, {price(toText(bestSeen(leg.price, order.trailing)))}
              </span>
            )}
          </span>
          <span class="distance" data-test={`distance-${leg.kind}`}>
            {market ? shortDistance(leg, market) : <span class="faint">–</span>}
            <span class="unseen"> from the market</span>
          </span>
        </li>
      ))}
    </ul>
  );
}

function OpenOrder({ order }: { order: Order }): JSX.Element {
  const { cancel, busy, problem } = useCancelling(order, () => document.getElementById(TITLE)?.focus());
  const isChanged = changedId.value === order.orderId;
  const change = useRef<HTMLButtonElement>(null);
  const market = marketPrice(order);
  const last = lastStep(order);
  const swap = `${amount(order.amount, nameOf(order.tokenIn))} to ${nameOf(order.tokenOut)}`;

  function close(): void {
    changedId.value = "";
    (change.current ?? document.getElementById(TITLE))?.focus();
  }

  return (
    <li class="open-order" data-open={order.orderId}>
      <div class="open-line">
        <p class="open-what">
          <span class="kind">{KIND_WORDS[kindOf(order)]}</span>{" "}
          <a href={addressOf(order.orderId)} onClick={(event) => openByLink(event, order.orderId)}>
            <span title={amount(order.amount, nameOf(order.tokenIn))}>
              {roundedAmount(order.amount, nameOf(order.tokenIn))}
            </span>{" "}
            <To /> {nameOf(order.tokenOut)}
          </a>
        </p>
        <Legs order={order} market={market} />
        <p class="open-market">
          {order.status === "open" ? (
            <>
              <span class="faint">Market</span> {market ? price(toText(market)) : "–"}
            </>
          ) : (
            <StatusBadge order={order} />
          )}
        </p>
        <p class="open-until">
          {order.expiresAt && (
            <>
              <span class="faint">until</span> <time dateTime={order.expiresAt}>{clock(order.expiresAt)}</time>
            </>
          )}
        </p>
        <p class="open-buttons">
          {isChangeable(order) && (
            <button
              type="button"
              class="small"
              ref={change}
              aria-expanded={isChanged}
              aria-label={`Change: ${swap}`}
              onClick={() => (isChanged ? close() : (changedId.value = order.orderId))}
            >
              Change
            </button>
          )}
          {isCancellable(order) && (
            <Button class="small" aria-disabled={busy} aria-label={`Cancel: ${swap}`} onClick={() => void cancel()}>
              Cancel
            </Button>
          )}
        </p>
      </div>
      {order.status === "open" && last?.errorCode && (
        <p class="open-error" title={last.error}>
          {inPlainWords(last.errorCode, last.error).what} It waits on.
        </p>
      )}
      <ErrorNotice error={problem} role="alert" />
      {isChanged && <ChangeForm order={order} market={market} onDone={close} />}
    </li>
  );
}

/** Every order that waits for its price, and those that its price has sent on their way. */
export function OpenOrdersPanel(): JSX.Element | null {
  const shown = useSignal(AT_ONCE);
  const orders = openOrders.value;
  const seen = orders.slice(0, shown.value);
  useEffect(() => {
    seenOrders.value = seen;
  }, [orders, shown.value]);
  const left = orders.length - seen.length;
  if (!orders.length) return null;
  return (
    <Panel
      name="open-orders"
      title="Open orders"
      beside={
        <p class="panel-note" data-test="open-count">
          {orders.length === 1 ? "1 waits for its price" : `${orders.length} wait for their price`}
        </p>
      }
    >
      <ul class="open-list">
        {seen.map((order) => (
          <OpenOrder key={order.orderId} order={order} />
        ))}
      </ul>
      {left > 0 && (
        <Button class="secondary" onClick={() => (shown.value += AT_ONCE)}>
          {Math.min(left, AT_ONCE)} more of {left}
        </Button>
      )}
    </Panel>
  );
}
