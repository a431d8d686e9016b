/** The contract's JSON, as docs/contract.md has it. */

export type Status = "pending" | "routing" | "building" | "submitted" | "confirmed" | "failed" | "cancelled";

export const STATUSES: readonly Status[] = [
  "pending",
  "routing",
  "building",
  "submitted",
  "confirmed",
  "failed",
  "cancelled",
];

export interface Leg {
  dex: string;
  pool: string;
  share: string;
  tokenIn: string;
  tokenOut: string;
  amountIn: string;
  expectedOut: string;
}

/** What may come to exist at a step. */
export interface Detail {
  route?: Leg[];
  dexUsed?: string;
  quotedOut?: string;
  minOut?: string;
  amountOut?: string;
  executedPrice?: string;
  txHash?: string;
  error?: string;
  errorCode?: string;
}

export interface Change extends Detail {
  seq: number;
  status: Status;
  at: string;
  retryCount: number;
  terminal?: boolean;
  retryInMs?: number;
  queuedUntil?: string;
}

export interface Order extends Detail {
  orderId: string;
  type: string;
  tokenIn: string;
  tokenOut: string;
  amount: string;
  slippage: string;
  status: Status;
  retryCount: number;
  createdAt: string;
  updatedAt: string;
  history: Change[];
  wsUrl?: string;
}

export interface StatusMessage extends Change {
  type: "status";
  orderId: string;
}

export interface Accepted {
  orderId: string;
  status: Status;
  wsUrl: string;
  createdAt: string;
}

export interface VenueQuote {
  dex: string;
  pool: string;
  amountOut?: string;
  price?: string;
  priceImpact?: string | null;
  fee?: string;
  feeToken?: string;
  error?: string;
  errorCode?: string;
}

export interface Quote {
  tokenIn: string;
  tokenOut: string;
  amount: string;
  slippage: string;
  slot: number;
  slotLag: number;
  at: string;
  ageMs: number;
  amountOut: string;
  minOut: string;
  price: string;
  priceImpact: string | null;
  route: Leg[];
  fees: { token: string; amount: string }[];
  quotes: VenueQuote[];
}

export interface Token {
  symbol: string | null;
  mint: string;
  decimals: number;
}

export interface Health {
  status: string;
  stage: string;
  checks: Record<string, { ok: boolean; error?: string }>;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: { field: string; message: string }[];
}

export interface OrderBody {
  type: "market";
  tokenIn: string;
  tokenOut: string;
  amount: string;
  slippage: string;
}
