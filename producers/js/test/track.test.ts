/** In pages, what becomes of an accepted text is told at each horizon. */

import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { followInput, track } from "../src/track.ts";
import { client, FakeCollector, ID } from "./helpers.ts";

class Area extends EventTarget {
  value = "x = ";
  isConnected = true;
  type(value: string): void {
    this.value = value;
    this.dispatchEvent(new Event("input"));
  }
}

test("a text in an input is followed, and each horizon has its check", async () => {
  const collector = new FakeCollector();
  const shop = client(collector, { spool: null });
  let nowMs = 1_000;
  const clock = mock.method(performance, "now", () => nowMs);
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const area = new Area();
    area.type("x = return a + b");
    const handle = shop.feedback(ID).accept("return a + b");
    track(handle, followInput(area, 4, "return a + b"), [30, 120, 300]);
    const stop = track(handle, () => "never", [600]);
    track(handle, () => Promise.reject(new Error("no")), [60]);
    stop();
    const pass = async (seconds: number): Promise<void> => {
      nowMs += seconds * 1000;
      mock.timers.tick(seconds * 1000);
      for (let turn = 0; turn < 10; turn++) await null;
    };
    area.type("y\nx = return a + b;");
    await pass(30);
    area.type("y\nx = return a - b;");
    await pass(90);
    area.isConnected = false;
    await pass(600);
  } finally {
    clock.mock.restore();
    mock.timers.reset();
  }
  assert.equal(await shop.close(), 0);
  const checks = collector.events.filter(({ type }) => type === "retention_check");
  assert.deepEqual(
    checks.map((check) => [check.horizon_s, check.status, check.distance ?? check.reason, check.accept_seq]),
    [[30, "present", 0, 1], [120, "present", 1, 1], [60, "unobserved", "read_failed", 1], [300, "unobserved", "no_text", 1]].sort((a, b) => (a[0] as number) - (b[0] as number)),
  );
  for (const check of checks) assert.ok((check.elapsed_ms as number) >= (check.horizon_s as number) * 1000);
});
