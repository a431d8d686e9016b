/** Choosing a token: by symbol, name or mint, with those that were chosen lately. */

import { signal, useComputed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { balanceOf } from "./balances";
import { Button } from "./button";
import { roundedAmount, shortened } from "./format";
import { VerifiedIcon, WarningIcon } from "./icons";
import { useModal } from "./modal";
import { noteChoice, recentTokens } from "./recent_tokens";
import { choose, tokenIn, tokenOut } from "./ticket";
import { TokenIcon } from "./token_icon";
import { searchTokens } from "./token_search";
import { idOf, nameOf, tokenOf, tokens } from "./tokens";
import type { Token } from "./wire";

export type Side = "in" | "out";

// A list that one looks through; what is further down is found by typing.
const SHOWN = 80;
const LABELS: Record<Side, string> = { in: "You pay", out: "You receive" };

const picking = signal<Side | null>(null);

/** The button that shows a side's token, and opens the list. */
export function TokenButton({ side, error }: { side: Side; error?: string | undefined }): JSX.Element {
  const id = (side === "in" ? tokenIn : tokenOut).value;
  const token = tokenOf(id);
  return (
    <Button
      id={`token-${side}`}
      class="token-button"
      aria-haspopup="dialog"
      aria-label={`${LABELS[side]}: token ${nameOf(id)}`}
      aria-describedby={error ? "error-tokenOut" : undefined}
      data-token={id}
      onClick={() => (picking.value = side)}
    >
      {token && <TokenIcon mint={token.mint} />}
      <span>{nameOf(id)}</span>
      <span class="caret" aria-hidden />
    </Button>
  );
}

/** Whether a token is what it says, or what its issuer may still do; nothing where neither is known. */
export function TokenMarks({ token }: { token: Token }): JSX.Element {
  const risks = token.risks ?? [];
  return (
    <>
      {token.verified && (
        <span class="mark-verified" title="Verified: the mint is known to be this token">
          <VerifiedIcon />
          <span class="unseen">verified</span>
        </span>
      )}
      {risks.length > 0 && (
        <span class="mark-risk" title={risks.map(({ meaning }) => meaning).join("\n")}>
          <WarningIcon />
          <span class="unseen">{risks.length === 1 ? "one risk" : `${risks.length} risks`}</span>
        </span>
      )}
    </>
  );
}

function Choice({
  token,
  isActive,
  isChosen,
  onChoose,
}: {
  token: Token;
  isActive: boolean;
  isChosen: boolean;
  onChoose: (token: Token) => void;
}): JSX.Element {
  const id = idOf(token);
  const held = balanceOf(id);
  return (
    <li
      id={`choice-${token.mint}`}
      role="option"
      aria-selected={isChosen}
      class={`choice ${isActive ? "choice-active" : ""}`}
      onClick={() => onChoose(token)}
    >
      <TokenIcon mint={token.mint} size={30} />
      <span class="choice-names">
        <span class="choice-symbol">
          <bdi>{nameOf(id)}</bdi> <TokenMarks token={token} />
        </span>
        <span class="choice-name">
          {token.name && <bdi>{token.name}</bdi>} <code>{shortened(token.mint)}</code>
        </span>
      </span>
      <span class="choice-held">{held && held.amount !== "0" ? roundedAmount(held.amount, "").trim() : ""}</span>
    </li>
  );
}

/** Tokens in the order in which they are likely wanted: chosen lately, held, verified, others. */
function byLikelihood(all: readonly Token[]): Token[] {
  const recent = recentTokens.value;
  const place = (token: Token): number => {
    const lately = recent.indexOf(idOf(token));
    if (lately >= 0) return lately;
    const held = balanceOf(idOf(token));
    return recent.length + (held && held.amount !== "0" ? 0 : token.verified ? 1 : 2);
  };
  return [...all].sort((a, b) => place(a) - place(b));
}

export function TokenPicker(): JSX.Element {
  const query = useSignal("");
  const active = useSignal(0);
  const side = picking.value;
  const found = useComputed(() =>
    query.value.trim() ? searchTokens(tokens.value, query.value) : byLikelihood(tokens.value),
  );
  const shown = found.value.slice(0, SHOWN);
  const current = side === "out" ? tokenOut.value : tokenIn.value;

  const dialog = useModal(side !== null, () => {
    query.value = "";
    active.value = 0;
  });
  const activeMint = shown[active.value]?.mint;
  useEffect(() => {
    if (activeMint) document.getElementById(`choice-${activeMint}`)?.scrollIntoView({ block: "nearest" });
  }, [activeMint]);

  function pick(token: Token | undefined): void {
    if (!token || !side) return;
    choose(side, idOf(token));
    noteChoice(idOf(token));
    picking.value = null;
  }

  function move(event: KeyboardEvent): void {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      active.value = Math.min(Math.max(active.peek() + by, 0), Math.max(shown.length - 1, 0));
    } else if (event.key === "Enter") {
      event.preventDefault();
      pick(shown[active.peek()]);
    }
  }

  return (
    <dialog
      ref={dialog}
      class="picker"
      aria-label={side === "out" ? "Choose the token that you receive" : "Choose the token that you pay with"}
      onClose={() => (picking.value = null)}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      {side && (
        <div class="picker-body">
          <div class="picker-head">
            <input
              role="combobox"
              aria-label="Search tokens"
              aria-expanded="true"
              aria-controls="choices"
              aria-autocomplete="list"
              aria-activedescendant={activeMint && `choice-${activeMint}`}
              placeholder="Symbol, name or mint address"
              autocomplete="off"
              spellcheck={false}
              maxLength={64}
              value={query.value}
              onInput={(event) => {
                query.value = event.currentTarget.value;
                active.value = 0;
              }}
              onKeyDown={move}
            />
            <Button class="quiet" onClick={() => dialog.current?.close()}>
              Close
            </Button>
          </div>
          {!query.value.trim() && recentTokens.value.some((id) => tokenOf(id)) && (
            <div class="recent" role="group" aria-label="Chosen lately">
              {recentTokens.value.map((id) => {
                const token = tokenOf(id);
                return (
                  token && (
                    <button key={id} type="button" class="recent-token" onClick={() => pick(token)}>
                      <TokenIcon mint={token.mint} size={18} /> {nameOf(id)}
                    </button>
                  )
                );
              })}
            </div>
          )}
          <ul id="choices" role="listbox" aria-label="Tokens" class="choices">
            {shown.map((token, index) => (
              <Choice
                key={token.mint}
                token={token}
                isActive={index === active.value}
                isChosen={idOf(token) === current}
                onChoose={pick}
              />
            ))}
          </ul>
          <p class="picker-note" role="status">
            {found.value.length === 0
              ? "No traded token is called so."
              : found.value.length > SHOWN
                ? `${found.value.length - SHOWN} more: type to find them.`
                : ""}
          </p>
        </div>
      )}
    </dialog>
  );
}
