import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_PULSE, treatment } from "../src/quote_pulse";

test("a stream that was never asked is asked at once", () => {
  assert.equal(treatment(NO_PULSE, 0), "ask");
});

test("one that was heard just now is let be, and asked again after a silence", () => {
  assert.equal(treatment({ askedAt: 0, heardAt: 100 }, 2_099), "wait");
  assert.equal(treatment({ askedAt: 0, heardAt: 100 }, 2_100), "ask");
});

test("one that doesn't answer in time is done without, and the wait for an answer is not asked into", () => {
  assert.equal(treatment({ askedAt: 5_000, heardAt: 100 }, 6_999), "wait");
  assert.equal(treatment({ askedAt: 5_000, heardAt: 100 }, 7_000), "poll");
  assert.equal(treatment({ askedAt: 5_000, heardAt: 5_000 }, 6_000), "wait");
});

test("within four seconds of the last word there is an answer, or the page asks by itself", () => {
  let pulse = { askedAt: 0, heardAt: 0 };
  for (let now = 0; now < 4_000; now += 100) if (treatment(pulse, now) === "ask") pulse = { ...pulse, askedAt: now };
  assert.equal(treatment(pulse, 4_000), "poll");
});
