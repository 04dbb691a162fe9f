/** The client over a storage like the browser's: nothing is lost that was stored, and the accounts add up. */

import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { indexedDbSpool } from "../src/spool.ts";
import { balanced, client, FakeCollector, ID, until } from "./helpers.ts";

let spools = 0;
const warn = mock.method(console, "warn", () => {});
beforeEach(() => warn.mock.resetCalls());

/** A client with a spool of its own, which is not shared with other tests. */
function fresh(collector: FakeCollector, name = `test ${++spools}`, more = {}) {
  return client(collector, { spool: indexedDbSpool(name), ...more });
}

test("what a user does arrives, complete, in order and once", async () => {
  const collector = new FakeCollector();
  const shop = fresh(collector, undefined, { environment: "production", user: "h4sh" });
  const suggestion = shop.feedback(ID, { session: "s1" }).shown("return a + b", { dwell_ms: 900 });
  suggestion.accept("return a + b").vote(1).flag("hallucination").unflag("hallucination");
  suggestion.edit("return a - b", { original: "return a + b" }).score(3, 1, 5).choice(1).acceptPartial("re");
  assert.equal(await shop.close(), 0);
  const names = ["shown", "accept", 1, "hallucination", "hallucination", "return a - b", 3, "accept_partial"];
  const said = (event: Record<string, unknown>) => event.action ?? event.value ?? event.label ?? event.score ?? event.corrected_text;
  assert.deepEqual(collector.events.map(said), names);
  const [shown, accept, , , , edit] = collector.events;
  assert.deepEqual(
    { ...shown, event_id: 0, occurred_at: 0 },
    {
      type: "action", action: "shown", generation_id: ID, app: "shop", environment: "production", user: "h4sh",
      session: "s1", length: 12, lines: 1, dwell_ms: 900, event_id: 0, occurred_at: 0,
    },
  );
  assert.deepEqual([accept!.accept_seq, accept!.accept_mode, edit!.distance, edit!.original_length], [1, "user", 1, 12]);
  const ids = collector.events.map((event) => event.event_id as string);
  assert.deepEqual(ids, [...new Set(ids)].sort());
  assert.match(ids[0]!, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(collector.sent[0]!.headers, { authorization: "Bearer kr_1_2", "content-type": "application/json" });
  assert.equal(collector.sent[0]!.url, "https://collector.example/v1/events");
});

test("what is stored and not answered for is sent by the next client, with the same ids", async () => {
  const away = new FakeCollector();
  away.answer = () => Promise.reject(new TypeError("Failed to fetch"));
  const first = fresh(away, "adopted");
  first.feedback(ID).vote(1).vote(-1);
  await until(async () => (await balanced(first)).spooled === 2 && away.sent.length > 2);
  await first.close(0);
  const collector = new FakeCollector();
  const second = fresh(collector, "adopted");
  await until(async () => (await balanced(second)).delivered === 2);
  assert.deepEqual(collector.events, away.sent[0]!.events);
  assert.equal((await balanced(second)).accepted, 2);
  await second.close();
});

test("of several clients of one spool one sends, and the next takes over", async () => {
  const one = new FakeCollector();
  const other = new FakeCollector();
  const first = fresh(one, "shared");
  await until(async () => (first.feedback(ID).vote(1), (await first.flush()) === 0));
  const second = fresh(other, "shared");
  second.feedback(ID).vote(0);
  await until(() => one.events.some((event) => event.value === 0));
  assert.deepEqual(other.sent, []);
  assert.deepEqual(await balanced(second), { ...(await balanced(first)) });
  await first.close();
  second.feedback(ID).vote(-1);
  assert.equal(await second.flush(), 0);
  assert.deepEqual(other.events.map((event) => event.value), [-1]);
  await second.close();
});

test("a line that is refused is counted by its reason, and the others are delivered", async () => {
  const collector = new FakeCollector();
  const refusal = { index: 1, status: 422, error_type: "invalid", field: "value", reason: "not 7" };
  collector.answer = () => ({ status: 207, body: { accepted: 2, refused: 1, errors: [refusal] } });
  const shop = fresh(collector);
  shop.feedback(ID).vote(1).vote(7 as 1).vote(0);
  assert.equal(await shop.flush(), 0);
  const { delivered, dropped, refusals, last_error } = await balanced(shop);
  assert.deepEqual({ delivered, dropped, refusals }, { delivered: 2, dropped: { refused: 1 }, refusals: { "invalid value": 1 } });
  assert.equal(last_error, "invalid value: not 7");
  assert.equal(warn.mock.callCount(), 1);
  await shop.close();
});

test("an answer that does not account for every event settles none", async () => {
  const collector = new FakeCollector();
  const answers = [{}, { accepted: 1, errors: [] }, { accepted: 2 }, "a captive portal"];
  collector.answer = (events) =>
    answers.length ? { status: 200, body: answers.shift() } : { status: 202, body: { accepted: events.length, errors: [] } };
  const shop = fresh(collector);
  shop.feedback(ID).vote(1).vote(0);
  assert.equal(await shop.flush(), 0);
  assert.equal(collector.sent.length, 5);
  assert.equal((await balanced(shop)).delivered, 2);
  await shop.close();
});

test("it waits as long as the collector says", async () => {
  const collector = new FakeCollector();
  const answers = [429, 503];
  collector.answer = (events) => {
    const status = answers.shift();
    if (!status) return { status: 202, body: { accepted: events.length, errors: [] } };
    return { status, body: { error_type: "rate_limited", field: "", reason: "later" }, headers: { "retry-after": "0.2" } };
  };
  const shop = fresh(collector);
  shop.feedback(ID).vote(1);
  assert.equal(await shop.flush(), 0);
  const [first, second, third] = collector.sent.map(({ atMs }) => atMs);
  assert.ok(second! - first! >= 199 && third! - second! >= 199, String(collector.sent.map(({ atMs }) => atMs)));
  await shop.close();
});

test("a key that is refused loses nothing", async () => {
  const collector = new FakeCollector();
  collector.answer = () => ({ status: 401, body: { error_type: "unauthorized", field: "Authorization", reason: "expired" } });
  const shop = fresh(collector, "revoked");
  shop.feedback(ID).vote(1);
  await until(() => collector.sent.length > 1);
  assert.deepEqual([(await balanced(shop)).spooled, (await balanced(shop)).last_error], [1, "unauthorized Authorization: expired"]);
  await shop.close(0);
});

test("a batch that is too large goes in parts, and one event that is, is counted", async () => {
  const collector = new FakeCollector();
  collector.answer = (events) => {
    if (events.length > 1) return { status: 413, body: { error_type: "too_large", field: "Content-Length", reason: "smaller" } };
    if (events[0]!.value) return { status: 202, body: { accepted: 1, errors: [] } };
    return { status: 413, body: { error_type: "too_large", field: "", reason: "too large" } };
  };
  const shop = fresh(collector);
  shop.feedback(ID).vote(1).vote(0).vote(-1);
  assert.equal(await shop.flush(), 0);
  const { delivered, refusals } = await balanced(shop);
  assert.deepEqual({ delivered, refusals }, { delivered: 2, refusals: { too_large: 1 } });
  await shop.close();
});

test("requests stay below what may outlive a page, and an event beyond it goes alone", async () => {
  const collector = new FakeCollector();
  const shop = fresh(collector);
  for (let at = 0; at < 100; at++) shop.feedback(ID).vote(1, { comment: "é".repeat(1_000) });
  shop.feedback(ID).vote(1, { comment: "x".repeat(70_000) });
  assert.equal(await shop.flush(), 0);
  assert.ok(collector.sent.length > 3);
  for (const { events, keepalive } of collector.sent) {
    const bytes = new Blob([JSON.stringify(events)]).size;
    assert.ok(bytes < 61_000 || events.length === 1, String(bytes));
    assert.equal(keepalive, bytes < 61_000);
  }
  assert.equal(collector.events.length, 101);
  await shop.close();
});

test("without room events go from memory, up to a bound, and beyond it are counted", async () => {
  const collector = new FakeCollector();
  const spool = indexedDbSpool("no room");
  const full = { ...spool, add: () => Promise.reject(new DOMException("no room", "QuotaExceededError")) };
  collector.answer = () => Promise.reject(new TypeError("offline"));
  const shop = client(collector, { spool: full });
  for (let at = 0; at < 1_010; at++) shop.feedback(ID).vote(1);
  await until(async () => (await balanced(shop)).lost === 10);
  assert.deepEqual((await balanced(shop)).dropped, { full: 10 });
  collector.answer = (events) => ({ status: 202, body: { accepted: events.length, errors: [] } });
  assert.equal(await shop.flush(), 0);
  const { accepted, delivered } = await balanced(shop);
  assert.deepEqual({ accepted, delivered }, { accepted: 1_010, delivered: 1_000 });
  await shop.close();
});

test("a storage with no room even for the account is emptied, and the account is written when there is room", async () => {
  const put = IDBObjectStore.prototype.put;
  const shop = fresh(new FakeCollector());
  IDBObjectStore.prototype.put = () => {
    throw new DOMException("no room", "QuotaExceededError");
  };
  try {
    for (const value of [1, 0] as const) {
      shop.feedback(ID).vote(value);
      assert.equal(await shop.flush(), 0);
    }
    assert.equal((await balanced(shop)).delivered, 2);
  } finally {
    IDBObjectStore.prototype.put = put;
  }
  shop.feedback(ID).vote(-1);
  assert.equal(await shop.flush(), 0);
  await shop.close();
  const next = fresh(new FakeCollector(), `test ${spools}`);
  const { accepted, delivered } = await balanced(next);
  assert.deepEqual([accepted, delivered], [3, 3]);
  await next.close();
});

test("beyond the bound of what waits the oldest go, counted", async () => {
  const collector = new FakeCollector();
  collector.answer = () => Promise.reject(new TypeError("offline"));
  const shop = fresh(collector, undefined, { maxStored: 5, lingerMs: 5 });
  for (let at = 0; at < 9; at++) shop.feedback(ID).score(at, 0, 9);
  await until(async () => (await balanced(shop)).lost === 4);
  collector.answer = (events) => ({ status: 202, body: { accepted: events.length, errors: [] } });
  collector.sent = [];
  assert.equal(await shop.flush(), 0);
  assert.deepEqual(collector.events.map(({ score }) => score), [4, 5, 6, 7, 8]);
  assert.deepEqual((await balanced(shop)).dropped, { evicted: 4 });
  await shop.close();
});

test("nothing that an app gives is thrown back at it, and what is withheld is counted", async () => {
  const collector = new FakeCollector();
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const before = (event: { type: string; comment?: unknown }) => {
    if (event.comment === "secret") throw new Error("no");
    return event.comment === "none" ? null : { ...event, comment: "***" };
  };
  const shop = fresh(collector, undefined, { before });
  const handle = shop.feedback(ID).vote(1, { attributes: circle as Record<string, string> });
  handle.shown(null as unknown as string).edit(5 as unknown as string).vote(0, { comment: "secret" }).vote(0, { comment: "none" });
  assert.equal(await shop.flush(), 0);
  assert.deepEqual((await balanced(shop)).dropped, { invalid: 1, redaction: 2 });
  assert.deepEqual(collector.events.map(({ comment }) => comment), ["***", "***"]);
  await shop.close();
});

test("in development it says so where an event is made", async () => {
  const shop = fresh(new FakeCollector(), undefined, { strict: true, before: () => null });
  assert.throws(() => shop.feedback(ID).vote(1), /not taken/);
  assert.match(warn.mock.calls[0]!.arguments[0], /redaction/);
  assert.deepEqual((await balanced(shop)).dropped, { redaction: 1 });
  await shop.close();
});

test("a collector that fails for ever holds up what is behind, up to a bound, counted", async () => {
  const collector = new FakeCollector();
  collector.answer = () => ({ status: 500, body: { error_type: "internal", field: "", reason: "a fault" } });
  const shop = fresh(collector, undefined, { maxStored: 20, lingerMs: 1 });
  for (let at = 0; at < 50; at++) shop.feedback(ID).vote(1), await null;
  await until(async () => (await balanced(shop)).lost === 30);
  for (let at = 0; at < 50; at++) shop.feedback(ID).vote(0), await null;
  await until(async () => (await balanced(shop)).lost === 80);
  const { delivered, dropped, spooled, last_error } = await balanced(shop);
  assert.deepEqual([delivered, dropped, spooled, last_error], [0, { evicted: 80 }, 20, "internal: a fault"]);
  await shop.close(0);
});

// A page knows no secret for fingerprints, and whoever asks for them there shall not have texts sent as they are.
for (const content of ["off", "hashed" as "off"] as const) test(`with content ${content} no text leaves, and lengths and distances do`, async () => {
  const collector = new FakeCollector();
  const shop = fresh(collector, undefined, { content });
  const made = shop.generation({ input: "how?", output: "return a + b", model: "m" });
  made.accept().edit("return a - b");
  assert.equal(await shop.close(), 0);
  assert.equal(JSON.stringify(collector.events).includes("return"), false);
  const [generation, , edit] = collector.events;
  assert.deepEqual([generation!.content_mode, generation!.model, edit!.distance], ["off", "m", 1]);
});

test("settings that cannot work are refused at once", () => {
  const collector = new FakeCollector();
  assert.throws(() => client(collector, { url: "not an address" }), TypeError);
  assert.throws(() => client(collector, { key: "" }), /key: both/);
});
