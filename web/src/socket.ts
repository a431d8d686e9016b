/**
 * A WebSocket that comes back: each time with a new address, after longer and longer pauses. Whoever is connected for all
 * of an account's orders also carries its quotes.
 */

import { computed, signal } from "@preact/signals";
import type { ErrorMessage, QuoteErrorMessage, QuoteMessage } from "./schemas";
import type { StatusMessage } from "./wire";

export type SocketState = "connecting" | "live" | "waiting";
export type QuoteNews = QuoteMessage | QuoteErrorMessage | ErrorMessage;

export interface SocketPlan {
  /** Where to connect now; null: nowhere any more. What it throws is tried again later. */
  address: () => Promise<string | null>;
  onMessage: (message: StatusMessage) => void;
  onState?: (state: SocketState) => void;
  /** After the connection is there: what it may have missed before is to be looked up. */
  onOpen?: () => void;
}

type Message = StatusMessage | QuoteNews | { type: "pong" | "subscribed" | "unsubscribed" };

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
// API Gateway closes a connection that is silent for 10 minutes.
const PING_MS = 240_000;

const connected = signal<readonly WebSocket[]>([]);
let hearQuotes: (news: QuoteNews) => void = () => undefined;

/** The connection that carries quotes, null while there is none. One that is for an order ends with it, and carries none. */
export const quoteCarrier = computed<WebSocket | null>(
  () => connected.value.find((socket) => !new URL(socket.url).searchParams.has("orderId")) ?? null,
);

/** Who is told the quotes, and what the server says of what was asked over their connection. */
export function onQuotes(listener: (news: QuoteNews) => void): void {
  hearQuotes = listener;
}

/** Connect and stay connected, until the returned function is called. */
export function stayConnected(plan: SocketPlan): () => void {
  let socket: WebSocket | null = null;
  let timer: number | undefined;
  let pinging: number | undefined;
  let pause = FIRST_PAUSE_MS;
  let over = false;

  async function connect(): Promise<void> {
    plan.onState?.("connecting");
    let address: string | null;
    try {
      address = await plan.address();
    } catch {
      return again();
    }
    if (over || address === null) return;
    const opened = new WebSocket(address);
    socket = opened;
    opened.onopen = () => {
      connected.value = [...connected.peek(), opened];
      plan.onState?.("live");
      plan.onOpen?.();
      pinging = window.setInterval(() => opened.send('{"action":"ping"}'), PING_MS);
    };
    opened.onmessage = ({ data }: MessageEvent<string>) => {
      const message = JSON.parse(data) as Message;
      if (message.type === "status") {
        pause = FIRST_PAUSE_MS;
        plan.onMessage(message);
      } else if (message.type === "quote" || message.type === "quote-error" || message.type === "error") {
        if (opened === quoteCarrier.peek()) hearQuotes(message);
      }
    };
    opened.onclose = () => {
      leave(opened);
      again();
    };
  }

  function leave(socket: WebSocket): void {
    connected.value = connected.peek().filter((one) => one !== socket);
  }

  function again(): void {
    clearInterval(pinging);
    if (over) return;
    plan.onState?.("waiting");
    // A little chance, so that all pages don't come back in one moment after an outage.
    timer = window.setTimeout(() => void connect(), pause * (0.75 + Math.random() / 2));
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }

  void connect();
  return () => {
    over = true;
    clearTimeout(timer);
    clearInterval(pinging);
    if (socket) {
      socket.onclose = null;
      leave(socket);
      socket.close();
    }
  };
}
