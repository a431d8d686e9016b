import { computed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { unitValueOf } from "./balances";
import { Button } from "./button";
import { Columns } from "./columns";
import { must, rounded, significant, toText } from "./decimal";
import { transactionUrl } from "./explorer";
import { fills, fillsFile, readFills, readMoreFills } from "./fills";
import { amount, clock, price, roundedAmount, shortened, signed, signedShare } from "./format";
import { netFlows, worth } from "./net_flows";
import { all } from "./orders_store";
import { Panel } from "./panel";
import { ErrorNotice, wordsFor } from "./plain_error";
import { addressOf, openByLink } from "./selection";
import { nameOf } from "./tokens";
import type { Fill } from "./wire";

const confirmedCount = computed(() => {
  let count = 0;
  for (const order of all()) if (order.status === "confirmed") count++;
  return count;
});

function share(basisPoints: string | null): JSX.Element | string {
  if (basisPoints === null) return <span class="faint">–</span>;
  const value = rounded(must(basisPoints), 2);
  return <span title={`${basisPoints} bps`}>{signedShare(value)}</span>;
}

function Row({ fill }: { fill: Fill }): JSX.Element {
  const [paid, got] = [nameOf(fill.tokenIn), nameOf(fill.tokenOut)];
  const address = transactionUrl(fill.txHash);
  return (
    <tr>
      <th scope="row">
        <a href={addressOf(fill.orderId)} onClick={(event) => openByLink(event, fill.orderId)}>
          {clock(fill.at)}
        </a>
      </th>
      <td data-label="Paid" title={amount(fill.amountIn, paid)}>
        {roundedAmount(fill.amountIn, paid)}
      </td>
      <td data-label="Received" title={amount(fill.amountOut, got)}>
        {roundedAmount(fill.amountOut, got)}
      </td>
      <td data-label="Price" title={fill.price}>
        {price(fill.price)}
      </td>
      <td data-label="Against quote">{share(fill.vsQuoteBps)}</td>
      <td data-label="Above floor">{share(fill.vsFloorBps)}</td>
      <td data-label="Pool fees">
        {fill.poolFees.map((fee) => (
          <span key={fee.mint} class="fee" title={amount(fee.amount, nameOf(fee.mint))}>
            {roundedAmount(fee.amount, nameOf(fee.mint))}
          </span>
        ))}
      </td>
      <td data-label="Network">{amount(fill.networkFee, "SOL")}</td>
      <td data-label="Transaction">
        {address ? (
          <a href={address} target="_blank" rel="noreferrer" title={fill.txHash}>
            {shortened(fill.txHash)}
          </a>
        ) : (
          <code title={fill.txHash}>{shortened(fill.txHash)}</code>
        )}
      </td>
    </tr>
  );
}

/** What the fills that were read leave of each token, and what that is worth now. */
function Net({ read, complete }: { read: readonly Fill[]; complete: boolean }): JSX.Element {
  const flows = netFlows(read);
  const total = worth(flows, (token) => (token === "USDC" ? must("1") : unitValueOf(token)));
  return (
    <dl class="net" data-test="net">
      {flows.map((flow) => (
        <div key={flow.mint}>
          <dt>{nameOf(flow.token)}</dt>
          <dd title={`${toText(flow.received)} received, ${toText(flow.paid)} paid, network fees included`}>
            {signed(significant(flow.net, 9))}
          </dd>
        </div>
      ))}
      <div>
        <dt title="What is left of all these swaps, at the pools' prices of now">
          Profit and loss {complete ? "" : "of those shown"}
        </dt>
        <dd data-test="pnl">
          {total ? `${signed(rounded(total, 2))} USDC` : <span class="faint">no price for each token</span>}
        </dd>
      </div>
    </dl>
  );
}

function SaveButton(): JSX.Element {
  const busy = useSignal(false);
  const problem = useSignal<Error | null>(null);
  async function save(): Promise<void> {
    if (busy.value) return;
    busy.value = true;
    problem.value = null;
    try {
      const address = URL.createObjectURL(await fillsFile());
      const link = document.createElement("a");
      link.href = address;
      link.download = "fills.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      problem.value = error as Error;
    }
    busy.value = false;
  }
  return (
    <>
      <Button class="small" aria-disabled={busy.value} onClick={() => void save()}>
        {busy.value ? "Reading…" : "Save as CSV"}
      </Button>
      {problem.value && (
        <span class="field-error" role="alert">
          {wordsFor(problem.value).what}
        </span>
      )}
    </>
  );
}

export function FillsPanel(): JSX.Element {
  const panel = useRef<HTMLElement>(null);
  const seen = useSignal(false);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => (seen.value ||= entry?.isIntersecting ?? true));
    if (panel.current) observer.observe(panel.current);
    return () => observer.disconnect();
  }, []);
  const count = confirmedCount.value;
  useEffect(() => {
    if (!seen.value) return undefined;
    // several fills in a moment are one reading
    const timer = setTimeout(() => void readFills(), 400);
    return () => clearTimeout(timer);
  }, [seen.value, count]);
  const { fills: read, cursor, loading, problem } = fills.value;
  return (
    <Panel
      name="fills"
      title="Fills"
      panel={panel}
      beside={
        read.length > 0 && (
          <>
            <p class="panel-note">{`${read.length}${cursor === null ? "" : "+"}, the latest first`}</p>
            <SaveButton />
          </>
        )
      }
    >
      <ErrorNotice error={problem} role="status" />
      {read.length > 0 ? (
        <>
          <Net read={read} complete={cursor === null} />
          <div class="fills-view" tabIndex={0} role="region" aria-label="Table of fills">
            <table class="venues fills-table">
              <Columns
                names={[
                  "Filled",
                  "Paid",
                  "Received",
                  "Price",
                  "Against quote",
                  "Above floor",
                  "Pool fees",
                  "Network",
                  "Transaction",
                ]}
              />
              <tbody>
                {read.map((fill) => (
                  <Row key={fill.orderId} fill={fill} />
                ))}
              </tbody>
            </table>
          </div>
          {cursor !== null && (
            <Button class="secondary" aria-disabled={loading} onClick={() => void readMoreFills()}>
              {loading ? "Reading…" : "Earlier fills"}
            </Button>
          )}
        </>
      ) : (
        !problem && (
          <p class="empty" role="status">
            {loading ? "Loading fills…" : "Nothing was filled yet."}
          </p>
        )
      )}
    </Panel>
  );
}
