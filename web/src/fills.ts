/** What orders were filled at: read when somebody looks, page by page, and anew after a fill. */

import { signal } from "@preact/signals";
import { api } from "./api";
import type { Fill } from "./wire";

export interface FillsState {
  fills: readonly Fill[];
  cursor: string | null;
  loading: boolean;
  problem: Error | null;
}

const PAGE = 50;

export const fills = signal<FillsState>({ fills: [], cursor: null, loading: true, problem: null });

let turn = 0;

async function read(cursor: string | null): Promise<void> {
  const mine = ++turn;
  const before = cursor === null ? [] : fills.peek().fills;
  fills.value = { ...fills.peek(), loading: true, problem: null };
  try {
    const page = await api.fills(PAGE, cursor);
    if (mine !== turn) return;
    fills.value = { fills: [...before, ...page.fills], cursor: page.nextCursor, loading: false, problem: null };
  } catch (error) {
    if (mine === turn) fills.value = { ...fills.peek(), loading: false, problem: error as Error };
  }
}

export const readFills = (): Promise<void> => read(null);

export async function readMoreFills(): Promise<void> {
  const { cursor, loading } = fills.peek();
  if (!loading && cursor !== null) await read(cursor);
}

/** Every fill as comma-separated values, in one file. */
export async function fillsFile(): Promise<Blob> {
  const parts: string[] = [];
  for (let cursor: string | null = null; ;) {
    const { text, next }: { text: string; next: string | null } = await api.fillsCsv(cursor);
    parts.push(cursor === null ? text : text.slice(text.indexOf("\r\n") + 2));
    if (next === null) return new Blob(parts, { type: "text/csv" });
    cursor = next;
  }
}
