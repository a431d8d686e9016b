/** A WebSocket that comes back: each time with a new address, after longer and longer pauses. */

import type { StatusMessage } from "./wire";

export type SocketState = "connecting" | "live" | "waiting";

export interface SocketPlan {
  /** Where to connect now; null: nowhere any more. What it throws is tried again later. */
  address: () => Promise<string | null>;
  onMessage: (message: StatusMessage) => void;
  onState?: (state: SocketState) => void;
  /** After the connection is there: what it may have missed before is to be looked up. */
  onOpen?: () => void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
// API Gateway closes a connection that is silent for 10 minutes.
const PING_MS = 240_000;

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
    socket = new WebSocket(address);
    socket.onopen = () => {
      plan.onState?.("live");
      plan.onOpen?.();
      pinging = window.setInterval(() => socket?.send('{"action":"ping"}'), PING_MS);
    };
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      const message = JSON.parse(data) as StatusMessage | { type: "pong" | "error" | "subscribed" };
      if (message.type !== "status") return;
      pause = FIRST_PAUSE_MS;
      plan.onMessage(message);
    };
    socket.onclose = again;
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
      socket.close();
    }
  };
}
