import { computed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { api } from "./api";
import { Button } from "./button";
import { amount, bps, clock, duration, roundedAmount } from "./format";
import { To } from "./icons";
import { feed, filter, listed, progress, readMore } from "./listing";
import { fillAgainstQuote, isCancellable, isEnded, kindOf, timeTaken } from "./order";
import { Panel } from "./panel";
import { ErrorNotice, wordsFor } from "./plain_error";
import { addressOf, openByLink, selectedId } from "./selection";
import { StatusBadge } from "./status_badge";
import { KIND_WORDS, STATUS_WORDS, STATUSES } from "./status_texts";
import { idOf, nameOf, tokens } from "./tokens";
import { useWidth } from "./use_width";
import { steadyScroll, visibleRows } from "./visible_rows";
import type { Order } from "./wire";

const ROW = 40;
const CARD = 84;
const CARDS_BELOW = 740;
const READ_AHEAD = 30;

const COLUMNS = ["Time", "Swap", "Paid", "Received", "Against quote", "Took", "Status"];

function Choice({
  label,
  value,
  options,
  onChoose,
}: {
  label: string;
  value: string;
  options: [string, string][];
  onChoose: (value: string) => void;
}): JSX.Element {
  return (
    <label class="filter">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        <option value="">All</option>
        {options.map(([id, text]) => (
          <option key={id} value={id}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function Filters(): JSX.Element {
  const wanted = filter.value;
  const names = tokens.value.map((token): [string, string] => [idOf(token), nameOf(idOf(token))]);
  const choose = (name: keyof typeof wanted) => (value: string) => (filter.value = { ...wanted, [name]: value });
  return (
    <div class="filters" role="group" aria-label="Filter the orders">
      <Choice
        label="Status"
        value={wanted.status}
        options={STATUSES.map((status) => [status, STATUS_WORDS[status].label])}
        onChoose={choose("status")}
      />
      <Choice label="Paid in" value={wanted.tokenIn} options={names} onChoose={choose("tokenIn")} />
      <Choice label="Received in" value={wanted.tokenOut} options={names} onChoose={choose("tokenOut")} />
    </div>
  );
}

interface RowProps {
  order: Order;
  index: number;
  top: number;
  height: number;
  reachable: boolean;
}

function Row({ order, index, top, height, reachable }: RowProps): JSX.Element {
  const fill = fillAgainstQuote(order);
  const isSelected = selectedId.value === order.orderId;
  return (
    <div
      class={`row ${isSelected ? "row-selected" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${top}px)`, height: `${height}px` }}
      data-order={order.orderId}
    >
      <span role="cell" class="cell-time">
        {clock(order.createdAt)}
      </span>
      <span role="cell" class="cell-pair">
        <a
          href={addressOf(order.orderId)}
          tabIndex={reachable ? 0 : -1}
          data-index={index}
          aria-current={isSelected ? "true" : undefined}
          onClick={(event) => openByLink(event, order.orderId)}
        >
          {nameOf(order.tokenIn)} <To /> {nameOf(order.tokenOut)}
        </a>
        {order.type !== "market" && <span class="kind">{KIND_WORDS[kindOf(order)]}</span>}
      </span>
      <span role="cell" class="cell-paid">
        <span title={amount(order.amount, nameOf(order.tokenIn))}>
          {roundedAmount(order.amount, nameOf(order.tokenIn))}
        </span>
      </span>
      <span role="cell" class="cell-received">
        {order.amountOut ? (
          <span title={amount(order.amountOut, nameOf(order.tokenOut))}>
            {roundedAmount(order.amountOut, nameOf(order.tokenOut))}
          </span>
        ) : (
          <span class="faint">–</span>
        )}
      </span>
      <span role="cell" class="cell-fill">
        {fill ? fill.tokens.digits === 0n ? "exact" : bps(fill) : <span class="faint">–</span>}
      </span>
      <span role="cell" class="cell-took">
        {isEnded(order) ? duration(timeTaken(order)) : <span class="faint">…</span>}
      </span>
      <span role="cell" class="cell-status">
        <StatusBadge order={order} />
      </span>
    </div>
  );
}

/** Keep the view still while orders come in above it. */
function useSteadyView(view: { current: HTMLDivElement | null }, orders: Order[], rowHeight: number): void {
  const top = useRef("");
  useLayoutEffect(() => {
    const index = orders.findIndex((order) => order.orderId === top.current);
    if (view.current && index > 0) view.current.scrollTop = steadyScroll(view.current.scrollTop, rowHeight, index);
    top.current = orders[0]?.orderId ?? "";
  }, [orders]);
}

const KEYS: Record<string, number> = {
  ArrowDown: 1,
  ArrowUp: -1,
  PageDown: 10,
  PageUp: -10,
  Home: -Infinity,
  End: Infinity,
};

function Rows({ orders }: { orders: Order[] }): JSX.Element {
  const [frame, width] = useWidth();
  const view = useRef<HTMLDivElement>(null);
  const scrollTop = useSignal(0);
  const viewHeight = useSignal(440);
  const reachable = useSignal("");
  const height = width > 0 && width < CARDS_BELOW ? CARD : ROW;
  useSteadyView(view, orders, height);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => (viewHeight.value = entry?.contentRect.height ?? 0));
    if (view.current) observer.observe(view.current);
    return () => observer.disconnect();
  }, []);
  const { first, end } = visibleRows(scrollTop.value, viewHeight.value, height, orders.length);
  useEffect(() => {
    if (end + READ_AHEAD >= orders.length) void readMore();
  }, [end, orders.length, progress.value.cursor]);

  // One row can be reached by Tab, the others from it by arrows; it stays in the document wherever the view is.
  const reachableIndex = Math.max(
    0,
    orders.findIndex((order) => order.orderId === reachable.value),
  );
  const shown = orders.slice(first, end).map((order, offset) => ({ order, index: first + offset }));
  const kept = orders[reachableIndex];
  if (kept && (reachableIndex < first || reachableIndex >= end)) shown.push({ order: kept, index: reachableIndex });

  function move(event: KeyboardEvent): void {
    const by = KEYS[event.key];
    if (
      by === undefined ||
      event.altKey ||
      event.ctrlKey ||
      event.metaKey ||
      !(event.target instanceof HTMLAnchorElement)
    )
      return;
    event.preventDefault();
    const from = Number(event.target.dataset["index"]);
    const to = Math.min(orders.length - 1, Math.max(0, from + by));
    reachable.value = orders[to]?.orderId ?? "";
    const box = view.current;
    if (!box) return;
    if (to * height < box.scrollTop) box.scrollTop = to * height;
    else if ((to + 1) * height > box.scrollTop + box.clientHeight) box.scrollTop = (to + 1) * height - box.clientHeight;
    requestAnimationFrame(() =>
      requestAnimationFrame(() =>
        box.querySelector<HTMLElement>(`a[data-index="${to}"]`)?.focus({ preventScroll: true }),
      ),
    );
  }

  function open(event: MouseEvent): void {
    if (!(event.target instanceof Element) || event.target.closest("a") || getSelection()?.toString()) return;
    event.target.closest(".row")?.querySelector("a")?.click();
  }

  const { cursor } = progress.value;
  return (
    <div
      class={`orders-table ${height === CARD ? "as-cards" : ""}`}
      ref={frame}
      role="table"
      aria-label="Orders"
      aria-rowcount={cursor === null ? orders.length + 1 : -1}
    >
      <div role="rowgroup" class="orders-head">
        <div role="row" class="row-head" aria-rowindex={1}>
          {COLUMNS.map((name) => (
            <span key={name} role="columnheader">
              {name}
            </span>
          ))}
        </div>
      </div>
      <div
        role="rowgroup"
        class="orders-view"
        ref={view}
        tabIndex={-1}
        onScroll={(event) => (scrollTop.value = event.currentTarget.scrollTop)}
        onKeyDown={move}
        onClick={open}
        style={{ "--rows": `${orders.length * height}px` }}
        data-test="orders-view"
        onFocusIn={(event) => {
          const row = (event.target as Element).closest<HTMLElement>(".row");
          if (row) reachable.value = row.dataset["order"] ?? "";
        }}
      >
        <div class="orders-all" role="presentation" style={{ height: `${orders.length * height}px` }}>
          {shown.map(({ order, index }) => (
            <Row
              key={order.orderId}
              order={order}
              index={index}
              top={index * height}
              height={height}
              reachable={index === reachableIndex}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

const isFiltered = computed(() => Object.values(filter.value).some(Boolean));

function NoOrders(): JSX.Element {
  const { loading, problem } = progress.value;
  if (problem) return <ErrorNotice error={problem} role="status" />;
  if (loading)
    return (
      <p class="empty" role="status">
        Loading orders…
      </p>
    );
  return (
    <p class="empty">
      {isFiltered.value ? "No order matches this filter." : "No orders yet. The first one that you place appears here."}
    </p>
  );
}

/** Cancel everything of which nothing is signed, after asking once more. */
function CancelAll({ orders }: { orders: readonly Order[] }): JSX.Element | null {
  const asked = useSignal(false);
  const said = useSignal("");
  const count = orders.filter(isCancellable).length;

  async function cancel(): Promise<void> {
    asked.value = false;
    said.value = "Cancelling…";
    let [cancelled, late] = [0, 0];
    try {
      for (let more = true; more;) {
        const answer = await api.cancelAll();
        cancelled += answer.cancelled;
        late += answer.tooLate.length;
        more = answer.more && answer.cancelled + answer.tooLate.length > 0;
      }
      said.value = `${cancelled} cancelled${late > 0 ? `, too late for ${late}` : ""}.`;
    } catch (error) {
      said.value = wordsFor(error as Error).what;
    }
  }

  if (count === 0 && !said.value) return null;
  return (
    <span class="cancel-all">
      {asked.value ? (
        <>
          <span>Cancel all of which nothing is signed?</span>
          <Button class="small danger" onClick={() => void cancel()}>
            Yes, cancel
          </Button>
          <Button class="small" onClick={() => (asked.value = false)}>
            No
          </Button>
        </>
      ) : (
        count > 0 && (
          <Button class="small" onClick={() => ((asked.value = true), (said.value = ""))}>
            Cancel all
          </Button>
        )
      )}
      <span role="status" class="faint">
        {said.value}
      </span>
    </span>
  );
}

export function OrdersPanel(): JSX.Element {
  const orders = listed.value;
  const { cursor } = progress.value;
  return (
    <Panel
      name="orders"
      title="Orders"
      beside={
        <>
          <p class="panel-note" data-test="orders-count">
            {orders.length > 0 &&
              `${orders.length}${cursor === null ? "" : "+"} · ${feed.value === "stream" ? "live" : "refreshed every 2 s"}`}
          </p>
          <CancelAll orders={orders} />
          <Filters />
        </>
      }
    >
      {orders.length ? <Rows orders={orders} /> : <NoOrders />}
    </Panel>
  );
}
