import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./button";
import { useCancelling } from "./cancelling";
import { Copyable } from "./copyable";
import { must, toText } from "./decimal";
import { Fact } from "./fact";
import { amount, clock, duration, exactDifference, percent, price } from "./format";
import { CloseIcon, To } from "./icons";
import { fillAgainstFloor, fillAgainstQuote, firstQuotedOut, isCancellable, isEnded, kindOf, timeTaken } from "./order";
import { Panel } from "./panel";
import { ErrorNotice } from "./plain_error";
import { PoolOffers } from "./pool_offers";
import { condition } from "./price_words";
import { RouteDiagram } from "./route_diagram";
import { openings, select, selectedId, selectedOrder, selectionProblem, selectionStream } from "./selection";
import { StatusBadge } from "./status_badge";
import { KIND_WORDS, LIFE, STATUS_WORDS } from "./status_texts";
import { Timeline } from "./timeline";
import { nameOf, namesOf } from "./tokens";
import { bestSeen, legsOf } from "./waiting_prices";
import type { Order } from "./wire";

/** What an order that waits was told to wait for. */
function Terms({ order }: { order: Order }): JSX.Element | null {
  if (order.type === "market") return null;
  return (
    <>
      <Fact name="Type" test="kind">
        {KIND_WORDS[kindOf(order)]}
      </Fact>
      {legsOf(order).map((leg) => (
        <Fact key={leg.kind} name={leg.kind === "limit" ? "Limit" : "Stop"} title={leg.price}>
          {condition(leg, namesOf(order))}
        </Fact>
      ))}
      {order.trailing && order.stopPrice && (
        <Fact name="Trails the best price">
          by {percent(order.trailing)}, from {price(toText(bestSeen(order.stopPrice, order.trailing)))}
        </Fact>
      )}
    </>
  );
}

function Facts({ order }: { order: Order }): JSX.Element {
  const first = firstQuotedOut(order);
  const againstQuote = fillAgainstQuote(order);
  const aboveFloor = fillAgainstFloor(order);
  const out = nameOf(order.tokenOut);
  return (
    <dl class="facts">
      <Terms order={order} />
      {first && <Fact name="Quoted at first">{amount(first, out)}</Fact>}
      {order.quotedOut && order.quotedOut !== first && (
        <Fact name="Quoted at last">{amount(order.quotedOut, out)}</Fact>
      )}
      {order.minOut && (
        <Fact name="At least" test="floor">
          {amount(order.minOut, nameOf(order.tokenOut))}
        </Fact>
      )}
      {order.amountOut && (
        <Fact name="Received" test="amount-received">
          <strong>{amount(order.amountOut, nameOf(order.tokenOut))}</strong>
        </Fact>
      )}
      {order.leftover?.map((left) => (
        <Fact key={left.token} name="Left between the hops">
          {amount(left.amount, nameOf(left.token))}
        </Fact>
      ))}
      {againstQuote && (
        <Fact name="Against quote" test="against-quote">
          {exactDifference(againstQuote, out, "exactly as quoted")}
        </Fact>
      )}
      {aboveFloor && (
        <Fact name="Above the least" test="above-floor">
          {exactDifference(aboveFloor, out, "exactly the least")}
        </Fact>
      )}
      {order.executedPrice && (
        <Fact name="Price" title={order.executedPrice}>
          {price(order.executedPrice)} {nameOf(order.tokenOut)}
        </Fact>
      )}
      {order.type !== "limit" && <Fact name="Slippage allowed">{percent(order.slippage)}</Fact>}
      {order.expiresAt && (
        <Fact name="Good until" test="expires-at">
          <time dateTime={order.expiresAt}>{clock(order.expiresAt)}</time>
        </Fact>
      )}
      <Fact name="Network fees" test="network-fees">
        {networkFees(order)}
      </Fact>
      {order.txHash && (
        <Fact name="Transaction" test="tx-hash">
          <Copyable text={order.txHash} what="transaction signature" />
          {order.explorerUrl && (
            <a href={order.explorerUrl} target="_blank" rel="noreferrer">
              look it up
            </a>
          )}
        </Fact>
      )}
      <Fact name="Order">
        <Copyable text={order.orderId} what="order id" />
      </Fact>
    </dl>
  );
}

function networkFees(order: Order): string {
  if (must(order.networkFees).digits !== 0n) return amount(order.networkFees, "SOL");
  return isEnded(order) ? "none" : "none yet";
}

function CancelButton({ order }: { order: Order }): JSX.Element | null {
  const { cancel, busy, problem } = useCancelling(order);
  return (
    <>
      {isCancellable(order) && (
        <Button class="secondary" aria-disabled={busy} onClick={() => void cancel()}>
          Cancel order
        </Button>
      )}
      <ErrorNotice error={problem} role="alert" />
    </>
  );
}

function FollowState({ order }: { order: Order }): JSX.Element {
  if (isEnded(order)) return <>{`${clock(order.createdAt)} · took ${duration(timeTaken(order))}`}</>;
  return selectionStream.value === "live" ? (
    <>
      <span class="pulse pulse-on" aria-hidden />
      Live
    </>
  ) : (
    <>Reconnecting…</>
  );
}

function Nothing(): JSX.Element {
  return (
    <Panel name="order" title="Order">
      <div class="empty">
        <p>Place an order, or choose one from the table, and watch its steps:</p>
        <ol class="life">
          {LIFE.map((status) => (
            <li key={status}>
              <strong>{STATUS_WORDS[status].label}</strong> {STATUS_WORDS[status].now}
            </li>
          ))}
        </ol>
      </div>
    </Panel>
  );
}

function Missing({ orderId }: { orderId: string }): JSX.Element {
  const problem = selectionProblem.value;
  return (
    <Panel name="order" title="Order" beside={<CloseButton />}>
      {problem ? (
        <ErrorNotice error={problem} role="alert" />
      ) : (
        <p class="empty" role="status">
          Loading order {orderId.slice(0, 8)}…
        </p>
      )}
    </Panel>
  );
}

function CloseButton(): JSX.Element {
  return (
    <Button class="quiet close" aria-label="Close this order" onClick={() => select("")}>
      <CloseIcon />
    </Button>
  );
}

/** Where the focus goes when an order is opened from the table: to its name, from where one reads on. */
function useFocusWhenOpened(shown: string): { current: HTMLHeadingElement | null } {
  const heading = useRef<HTMLHeadingElement>(null);
  const seen = useRef({ openings: openings.peek(), shown });
  useEffect(() => {
    if (!heading.current) return;
    if (seen.current.openings !== openings.value) heading.current.focus();
    if (seen.current.shown !== shown) heading.current.scrollIntoView({ block: "nearest" });
    seen.current = { openings: openings.value, shown };
  }, [shown, openings.value]);
  return heading;
}

export function OrderPanel(): JSX.Element {
  const orderId = selectedId.value;
  const order = selectedOrder.value;
  const heading = useFocusWhenOpened(order ? orderId : "");
  if (!orderId) return <Nothing />;
  if (!order) return <Missing orderId={orderId} />;
  return (
    <Panel
      name="order"
      title={
        <>
          {amount(order.amount, nameOf(order.tokenIn))} <To /> {nameOf(order.tokenOut)}
        </>
      }
      heading={heading}
      beside={<CloseButton />}
    >
      <p class="order-state" data-test="order-state" data-status={order.status}>
        <StatusBadge order={order} />
        <span class="faint follow">
          <FollowState order={order} />
        </span>
      </p>
      <Timeline order={order} />
      <CancelButton order={order} />
      {order.route && <RouteDiagram route={order.route} />}
      <Facts order={order} />
      <PoolOffers order={order} />
    </Panel>
  );
}
