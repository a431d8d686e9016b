/** Errors in plain words: what happened, and what to do. Codes are those of chalicelib/problems.py. */

import texts from "./error_texts.json";
import type { Problem } from "./wire";

export interface PlainError {
  what: string;
  todo: string;
}

const TEXTS: Record<string, PlainError> = texts;

/** The words for a code; for one that this page doesn't know, the server's own text. */
export function inPlainWords(code: string | undefined, detail: string | undefined): PlainError {
  const known = code === undefined ? undefined : TEXTS[code];
  return known ?? { what: sentence(detail ?? "Something went wrong."), todo: "Try again in a moment." };
}

/** The code that a problem's type stands for: urn:fillrate:problem:no-pool is NO_POOL. */
export function codeOf(problem: Problem): string | undefined {
  const name = /^urn:fillrate:problem:(.+)$/.exec(problem.type)?.[1];
  return name?.toUpperCase().replaceAll("-", "_");
}

/** A text with a capital at its start and a full stop at its end. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}
