/** Which rows of a long list stand in the document: those in sight and a few more. Pure. */

export interface RowWindow {
  first: number;
  /** One after the last. */
  end: number;
}

const SPARE = 6;

export function visibleRows(scrollTop: number, viewHeight: number, rowHeight: number, count: number): RowWindow {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - SPARE);
  const end = Math.min(count, Math.ceil((scrollTop + viewHeight) / rowHeight) + SPARE);
  return { first: Math.min(first, end), end };
}

/** Where the view must stand so that the row at its top stays there when `added` rows come above it. */
export function steadyScroll(scrollTop: number, rowHeight: number, added: number): number {
  // At the very top one wants to see what comes.
  return scrollTop < rowHeight / 2 ? scrollTop : scrollTop + added * rowHeight;
}
