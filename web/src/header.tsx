import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { apiKey, forgetKey, keyIsWanted } from "./api";
import { balances } from "./balances";
import { Button } from "./button";
import { Copyable } from "./copyable";
import { accountUrl } from "./explorer";
import { health, look, nextTryAt, online } from "./reachability";
import { type Choice, themeChoice } from "./theme";

const NEXT: Record<Choice, Choice> = { auto: "light", light: "dark", dark: "auto" };
const THEME_SIGNS: Record<Choice, string> = { auto: "◐", light: "○", dark: "●" };

function ThemeButton(): JSX.Element {
  const choice = themeChoice.value;
  return (
    <Button
      class="quiet theme"
      onClick={() => (themeChoice.value = NEXT[choice])}
      aria-label={`Theme: ${choice}. Change to ${NEXT[choice]}.`}
      title={`Theme: ${choice}`}
    >
      <span aria-hidden>{THEME_SIGNS[choice]}</span>{" "}
      <span class="theme-name" aria-hidden>
        {choice}
      </span>
    </Button>
  );
}

/** Why a new order would not trade now, as GET /health tells. */
function reasons(): string[] {
  return health.value?.degraded ?? [];
}

/** What a reason begins with: `overdue` of "overdue: an order has waited …". */
function kindOf(reason: string): string {
  return reason.split(":", 1)[0] ?? reason;
}

/** Its tone, what it says, and more of it for who points at it. */
function state(): [tone: string, text: string, more?: string] {
  if (!online.value) return ["bad", "Offline"];
  if (!health.value) return ["", "Connecting…"];
  const why = reasons();
  return why.length ? ["warn", `Trouble: ${why.map(kindOf).join(", ")}`, why.join("\n")] : ["good", "Ready to trade"];
}

function State(): JSX.Element {
  const [tone, text, more] = state();
  return (
    <span class={`state state-${tone}`} title={more}>
      <span class="dot" aria-hidden />
      {text}
      {tone === "good" && waiting() > 0 && (
        <span class="faint" data-test="queue">{` · ${waiting()} in the queue`}</span>
      )}
    </span>
  );
}

/** The wallet that orders are for. */
function Wallet(): JSX.Element | null {
  const wallet = balances.value?.wallet;
  if (wallet === undefined) return null;
  const address = accountUrl(wallet);
  return (
    <span class="wallet" data-test="wallet">
      <span class="faint">
        {address ? (
          <a href={address} target="_blank" rel="noreferrer">
            Wallet
          </a>
        ) : (
          "Wallet"
        )}
      </span>{" "}
      <Copyable text={wallet} what="wallet address" />
    </span>
  );
}

/** How many messages wait for a worker, as the health check has it. */
function waiting(): number {
  const value: unknown = health.value?.checks["queue"]?.value;
  const count = typeof value === "object" && value !== null ? (value as { waiting?: unknown }).waiting : 0;
  return typeof count === "number" ? count : 0;
}

export function OfflineNotice(): JSX.Element | null {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  if (online.value) return null;
  const seconds = Math.max(0, Math.ceil((nextTryAt.value - now.value) / 1000));
  return (
    <div class="offline">
      <p role="status">
        <strong>Fillrate does not answer.</strong> You see the last known state. Accepted orders continue without this
        page.
      </p>
      <p>
        <span aria-hidden>{seconds > 0 ? `Next try in ${seconds} s.` : "Trying…"}</span>{" "}
        <Button class="secondary" onClick={() => void look()}>
          Try now
        </Button>
      </p>
    </div>
  );
}

export function DegradedNotice(): JSX.Element | null {
  const why = reasons();
  if (!online.value || !why.length) return null;
  return (
    <section class="offline" aria-label="Why a new order would not trade" data-test="degraded">
      <p role="status">
        <strong>A new order would not trade now.</strong>
      </p>
      <ul>
        {why.map((reason) => (
          <li key={kindOf(reason)}>{reason}</li>
        ))}
      </ul>
    </section>
  );
}

export function Header(): JSX.Element {
  const stage = health.value?.stage;
  return (
    <header class="top">
      <h1>
        <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden>
          <rect class="mark" width="32" height="32" rx="7" />
          <path d="M8 24V8h15M8 16h10" fill="none" stroke="#fff" stroke-width="3.2" />
          <circle cx="22.5" cy="20.5" r="3.6" fill="#7fe0c3" />
        </svg>
        Fillrate
      </h1>
      <p class="about">
        <span class="tagline">Best-price swaps across Solana's DEXs</span>
        {stage === "local" && <span class="stage">Local stage: an offline chain, no real money</span>}
      </p>
      <div class="top-end">
        <Wallet />
        <State />
        {apiKey.value && (
          <Button
            class="quiet"
            onClick={() => {
              forgetKey();
              keyIsWanted.value = stage !== "local";
            }}
          >
            Forget key
          </Button>
        )}
        <ThemeButton />
      </div>
    </header>
  );
}
