import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { apiKey, forgetKey, keyIsWanted } from "./api";
import { health, look, nextTryAt, online } from "./reachability";
import { type Choice, themeChoice } from "./theme";

const NEXT: Record<Choice, Choice> = { auto: "light", light: "dark", dark: "auto" };
const THEME_SIGNS: Record<Choice, string> = { auto: "◐", light: "○", dark: "●" };

function ThemeButton(): JSX.Element {
  const choice = themeChoice.value;
  return (
    <button
      type="button"
      class="quiet theme"
      onClick={() => (themeChoice.value = NEXT[choice])}
      aria-label={`Theme: ${choice}. Change to ${NEXT[choice]}.`}
      title={`Theme: ${choice}`}
    >
      <span aria-hidden="true">{THEME_SIGNS[choice]}</span>{" "}
      <span class="theme-name" aria-hidden="true">
        {choice}
      </span>
    </button>
  );
}

/** Which parts don't answer, as GET /health tells. */
function troubles(): string[] {
  return Object.entries(health.value?.checks ?? {})
    .filter(([, check]) => !check.ok)
    .map(([name]) => name);
}

function State(): JSX.Element {
  if (!online.value)
    return (
      <span class="state state-bad">
        <span class="dot" aria-hidden="true" />
        Offline
      </span>
    );
  if (!health.value)
    return (
      <span class="state">
        <span class="dot" aria-hidden="true" />
        Connecting…
      </span>
    );
  const down = troubles();
  if (down.length)
    return (
      <span class="state state-warn" title={down.join(", ")}>
        <span class="dot" aria-hidden="true" />
        Trouble: {down.join(", ")}
      </span>
    );
  return (
    <span class="state state-good">
      <span class="dot" aria-hidden="true" />
      All systems answer
    </span>
  );
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
        <span aria-hidden="true">{seconds > 0 ? `Next try in ${seconds} s.` : "Trying…"}</span>{" "}
        <button type="button" class="secondary" onClick={() => void look()}>
          Try now
        </button>
      </p>
    </div>
  );
}

export function Header(): JSX.Element {
  const stage = health.value?.stage;
  return (
    <header class="top">
      <h1>
        <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
          <rect class="mark" width="32" height="32" rx="7" />
          <path d="M8 24V8h15M8 16h10" fill="none" stroke="#fff" stroke-width="3.2" />
          <circle cx="22.5" cy="20.5" r="3.6" fill="#7fe0c3" />
        </svg>
        Fillrate
      </h1>
      <p class="about">
        Best-price swaps across Solana's DEXs
        {stage === "local" && (
          <>
            . <span class="stage">Local stage: an offline chain, no real money</span>
          </>
        )}
      </p>
      <div class="top-end">
        <State />
        {apiKey.value && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              forgetKey();
              keyIsWanted.value = stage !== "local";
            }}
          >
            Forget key
          </button>
        )}
        <ThemeButton />
      </div>
    </header>
  );
}
