// How long a call takes.

// So many that some of them are left alone by whatever else the machine does.
const BATCHES = 30;

/** Nanoseconds of one call: the fastest of batches that fill about `milliseconds` in all. */
export function nanosecondsPerCall(call, milliseconds) {
  const target = (milliseconds * 1e6) / BATCHES;
  let calls = 1;
  while (elapsed(call, calls) < target / 2) calls *= 2;
  return Math.min(...Array.from({ length: BATCHES }, () => elapsed(call, calls))) / calls;
}

function elapsed(call, calls) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) call();
  return Number(process.hrtime.bigint() - start);
}
