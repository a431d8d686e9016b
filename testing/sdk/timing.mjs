// How long a call takes.

const BATCHES = 10;

/** Nanoseconds of one call: the median over batches that fill about `milliseconds` in all. */
export function nanosecondsPerCall(call, milliseconds) {
  const target = (milliseconds * 1e6) / BATCHES;
  let calls = 1;
  while (elapsed(call, calls) < target / 2) calls *= 2;
  const batches = Array.from({ length: BATCHES }, () => elapsed(call, calls) / calls);
  batches.sort((a, b) => a - b);
  return (batches[BATCHES / 2 - 1] + batches[BATCHES / 2]) / 2;
}

function elapsed(call, calls) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) call();
  return Number(process.hrtime.bigint() - start);
}
