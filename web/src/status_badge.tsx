import type { JSX } from "preact";
import { StatusIcon } from "./icons";
import { isEnded } from "./order";
import { STATUS_WORDS } from "./status_texts";
import type { Order } from "./wire";

/** The order's status: a sign, a word and a colour, of which any one would do. */
export function StatusBadge({ order }: { order: Order }): JSX.Element {
  const retrying = order.status === "failed" && !isEnded(order);
  const tone = retrying ? "retrying" : order.status;
  return (
    <span class={`badge badge-${tone}`}>
      <StatusIcon status={order.status} retrying={retrying} />
      {retrying ? "Retrying" : STATUS_WORDS[order.status].label}
    </span>
  );
}
