/** Where transactions and accounts are looked up, as far as an order has told it: local chains have no such place. */

import { computed } from "@preact/signals";
import { all } from "./orders_store";

const TRANSACTIONS = "/tx/";

/** A transaction's address with nothing in the place of the signature, in two parts; null while none is known. */
const around = computed<[string, string] | null>(() => {
  for (const { explorerUrl, txHash } of all()) {
    const place = explorerUrl && txHash ? explorerUrl.indexOf(txHash) : -1;
    if (explorerUrl && txHash && place >= 0)
      return [explorerUrl.slice(0, place), explorerUrl.slice(place + txHash.length)];
  }
  return null;
});

export function transactionUrl(txHash: string): string | null {
  return around.value && around.value[0] + txHash + around.value[1];
}

/** A wallet's or a mint's page: explorers have it beside the transactions'. */
export function accountUrl(address: string): string | null {
  const [before, after] = around.value ?? ["", ""];
  return before.endsWith(TRANSACTIONS) ? `${before.slice(0, -TRANSACTIONS.length)}/address/${address}${after}` : null;
}
