/** An order's steps in words. */

import type { Kind } from "./order";
import type { Status } from "./wire";

export interface StatusWords {
  /** One word or two, for a badge. */
  label: string;
  /** What is going on, as a step of the timeline. */
  now: string;
  /** The same once it is over, where that is said otherwise. */
  done?: string;
}

export const STATUS_WORDS: Record<Status, StatusWords> = {
  open: { label: "Open", now: "Waiting for its price", done: "Waited for its price" },
  pending: { label: "Pending", now: "Waiting to start", done: "Accepted" },
  routing: { label: "Routing", now: "Comparing the pools", done: "Compared the pools" },
  building: { label: "Building", now: "Building and signing the transaction", done: "Route chosen, transaction built" },
  submitted: { label: "Submitted", now: "Sent to Solana, waiting for confirmation", done: "Sent to Solana" },
  confirmed: { label: "Confirmed", now: "Confirmed on Solana" },
  failed: { label: "Failed", now: "Failed" },
  cancelled: { label: "Cancelled", now: "Cancelled before anything was signed" },
  expired: { label: "Expired", now: "Its time was over before it was filled" },
};

/** Every status, as they are chosen from. */
export const STATUSES = Object.keys(STATUS_WORDS) as Status[];

export const LIFE: readonly Status[] = ["pending", "routing", "building", "submitted", "confirmed"];

export const KIND_WORDS: Record<Kind, string> = {
  market: "Market",
  limit: "Limit",
  stop: "Stop",
  trailing: "Trailing",
  oco: "OCO",
};
