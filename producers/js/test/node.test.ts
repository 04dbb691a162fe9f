/** A server's spool of files: what was emitted is delivered by whoever comes next, and a kill loses nothing of it. */

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Event } from "../src/events.ts";
import { fileSpool, Keeprate, type NodeSettings, userHash } from "../src/node.ts";
import { balanced, FakeCollector, ID, until } from "./helpers.ts";

const place = () => mkdtempSync(join(tmpdir(), "keeprate-spool-"));

function server(collector: FakeCollector, directory: string, more: NodeSettings = {}): Keeprate {
  const fetch = collector.fetch as typeof globalThis.fetch;
  return new Keeprate("shop", { url: "http://collector", key: "kr_1_2", directory, lingerMs: 0, retryMs: 1, fetch, ...more });
}

/** A process that emits votes towards a collector that is not there, says how many it has stored, and is killed. */
function killed(directory: string, votes: number): string[] {
  const code = `
    import { Keeprate } from ${JSON.stringify(new URL("../src/node.ts", import.meta.url).href)};
    const client = new Keeprate("shop", { url: "http://collector", key: "k", directory: ${JSON.stringify(directory)},
      fetch: () => Promise.reject(new Error("away")) });
    const ids = [];
    for (let at = 0; at < ${votes}; at++) {
      client.emit({ type: "vote", value: 1, generation_id: "${ID}", event_id: "id-" + at });
      if (at % 7 === 0) await null;
      if ((await client.stats()).spooled === at + 1) console.log("id-" + at);
    }
    process.kill(process.pid, "SIGKILL");`;
  const done = spawnSync(process.execPath, ["--input-type=module", "--no-warnings", "-e", code], { encoding: "utf8" });
  assert.equal(done.signal, "SIGKILL", done.stderr);
  return done.stdout.trim().split("\n");
}

test("what a killed process had stored is delivered by the next, once", async () => {
  const directory = place();
  const stored = killed(directory, 20);
  assert.equal(stored.length, 20);
  const home = join(directory, readdirSync(directory)[0]!);
  // A write that a full disk cut short.
  appendFileSync(join(home, readdirSync(home)[0]!, "log"), '{"add":[{"key":99,"bo');
  const collector = new FakeCollector();
  const next = server(collector, directory);
  await until(async () => (await balanced(next)).delivered === 20);
  assert.deepEqual(collector.events.map(({ event_id }) => event_id), stored);
  await next.close();
  assert.deepEqual(readdirSync(home), []);
});

test("of processes that live none takes another's events", async () => {
  const directory = place();
  const away = new FakeCollector();
  away.answer = () => Promise.reject(new Error("away"));
  const first = server(away, directory);
  first.feedback(ID).vote(1);
  await until(async () => (await first.stats()).spooled === 1);
  const collector = new FakeCollector();
  const second = server(collector, directory);
  second.feedback(ID).vote(0);
  assert.equal(await second.close(), 0);
  assert.deepEqual(collector.events.map(({ value }) => value), [0]);
  const [home] = readdirSync(directory);
  const [own] = readdirSync(join(directory, home!));
  assert.equal(statSync(join(directory, home!, own!)).mode & 0o777, 0o700);
  assert.equal(statSync(join(directory, home!, own!, "log")).mode & 0o777, 0o600);
  await first.close(0);
});

test("a log that was long is short after what it held was answered for", async () => {
  const spool = fileSpool(place());
  const none = { delivered: 1, dropped: {}, refusals: {} };
  for (let at = 0; at < 6_000; at++) await spool.retire(await spool.add(["{}"]), none);
  const [kept] = await spool.add(["{}"]);
  assert.deepEqual(await spool.peek(9), [{ key: kept, body: "{}" }]);
  assert.deepEqual(await spool.read(), { settled: { ...none, delivered: 6_000 }, stored: 6_001, waiting: 1 });
  spool.close();
});

test("a process ends although a client was not closed", () => {
  const code = `import { Keeprate } from ${JSON.stringify(new URL("../src/node.ts", import.meta.url).href)};
    new Keeprate("shop", { url: "http://127.0.0.1:9", key: "k", directory: ${JSON.stringify(place())} }).feedback("${ID}").vote(1);`;
  execFileSync(process.execPath, ["--input-type=module", "--no-warnings", "-e", code], { timeout: 20_000 });
});

test("users have the Python SDK's pseudonyms", () => {
  // keeprate.producers.sdk.content: ContentPolicy("full", b"salt").user_hash(…).
  assert.equal(userHash("alice@example.org", "salt"), "16aad46830ef89b8c267f3517e3c3842");
});

test("what leaves of content is what the Python SDK would send with the same salt", async () => {
  const vectors = JSON.parse(readFileSync(new URL("../../../tests/data/content_vectors.json", import.meta.url), "utf8"));
  assert.ok(vectors.length > 3);
  for (const content of ["hashed", "off"] as const) {
    const collector = new FakeCollector();
    const client = server(collector, place(), { content, salt: "salt" });
    for (const { event } of vectors) client.emit({ ...event, generation_id: ID } as Event);
    assert.equal(await client.close(), 0);
    const left = collector.events.map(({ generation_id, event_id, occurred_at, app, ...rest }) => rest);
    assert.deepEqual(left, vectors.map((each: Record<string, unknown>) => each[content]));
  }
});

test("what an app takes out is taken out before the rest becomes a fingerprint", async () => {
  const collector = new FakeCollector();
  const before = (event: Event): Event => ({ ...event, corrected_text: "***" }) as Event;
  const client = server(collector, place(), { content: "hashed", salt: "salt", before });
  client.feedback(ID).edit("a name").edit("another");
  assert.equal(await client.close(), 0);
  const [one, other] = collector.events.map(({ corrected_text }) => corrected_text);
  assert.match(String(one), /^[0-9a-f]{32}$/);
  assert.equal(one, other);
});

test("fingerprints that anybody could make are refused at the start", () => {
  assert.throws(() => server(new FakeCollector(), place(), { content: "hashed" }), /salt/);
});
