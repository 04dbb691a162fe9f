/** Accepted texts are followed through whatever happens to their documents. The clock is the test's. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { HORIZONS_S, Ledger } from "../src/editor/ledger.ts";
import { edited, findAgain, moved, rangeAt } from "../src/ranges.ts";
import { ID } from "./helpers.ts";

const T0 = 1_750_000_000_000;
const FILE = "file:///work/shop/add.py";
const TEXT = "return a + b";
const HEAD = "def add(a, b):\n    ";
const DAY_S = 86_400;

/** A ledger whose only document ends with the accepted text. */
function accepted(more = {}): Ledger {
  const ledger = new Ledger();
  ledger.opened(FILE, HEAD + TEXT + "\n");
  ledger.accept({ origin: { generation_id: ID }, accept_seq: 1, uri: FILE, start: HEAD.length, text: TEXT, atMs: T0, ...more });
  return ledger;
}

const at = (seconds: number) => T0 + seconds * 1000;
const insert = (offset: number, text: string) => ({ offset, length: 0, text });

test("a check is made at each horizon, up to a week, and then the text is forgotten", () => {
  const ledger = accepted();
  const made = HORIZONS_S.map((horizon_s) => {
    assert.equal(ledger.nextDueMs, at(horizon_s));
    assert.deepEqual(ledger.due(at(horizon_s) - 1), []);
    return ledger.due(at(horizon_s))[0]!;
  });
  assert.deepEqual(made.map(({ horizon_s, status }) => [horizon_s, status]), HORIZONS_S.map((each) => [each, "present"]));
  assert.deepEqual([ledger.state.length, ledger.nextDueMs], [0, undefined]);
  const { generation_id, elapsed_ms, distance, four_gram, lexeme_distance, no_revert, current_text } = made[0]!;
  assert.deepEqual(
    { generation_id, elapsed_ms, distance, four_gram, lexeme_distance, no_revert, current_text },
    { generation_id: ID, elapsed_ms: 30_000, distance: 0, four_gram: 1, lexeme_distance: 0, no_revert: 1, current_text: TEXT },
  );
});

test("what is typed before and at either end is no modification, and what is typed within is", () => {
  const ledger = accepted();
  ledger.edited(FILE, [insert(0, "import math\n"), insert(HEAD.length, "# "), insert(HEAD.length + TEXT.length, " + c")]);
  assert.equal(ledger.due(at(30))[0]!.distance, 0);
  const minus = HEAD.length + "import math\n# return a ".length;
  ledger.edited(FILE, [{ offset: minus, length: 1, text: "-" }]);
  const [check] = ledger.due(at(120));
  assert.deepEqual([check!.current_text, check!.distance, check!.lexeme_distance], ["return a - b", 1, 1]);
});

test("what is removed and undone stands again, also in steps", () => {
  const ledger = accepted();
  ledger.edited(FILE, [{ offset: HEAD.length, length: TEXT.length, text: "" }]);
  assert.deepEqual([ledger.due(at(30))[0]!.status, ledger.state[0]!.current], ["removed", ""]);
  ledger.edited(FILE, [insert(0, "\n")]);
  ledger.edited(FILE, [{ offset: 0, length: 1, text: "" }]);
  ledger.edited(FILE, [insert(HEAD.length, TEXT)]);
  assert.equal(ledger.due(at(120))[0]!.distance, 0);
  ledger.edited(FILE, [{ offset: HEAD.length - 4, length: 11, text: "" }]);
  assert.deepEqual([ledger.due(at(300))[0]!.current_text, ledger.state[0]!.range.clipped], ["a + b", true]);
  ledger.edited(FILE, [insert(HEAD.length - 4, "    return ")]);
  assert.equal(ledger.due(at(600))[0]!.current_text, TEXT);
});

test("a formatter that replaces the whole file changes what it changes", () => {
  const ledger = accepted();
  const before = HEAD + TEXT + "\n";
  ledger.edited(FILE, [{ offset: 0, length: before.length, text: "import math\n\n\n" + before.replace("a + b", "(a + b)") }]);
  const [check] = ledger.due(at(30));
  // By what is most similar: a bracket that ends the text might be anybody's.
  assert.deepEqual([check!.current_text, check!.distance], ["return (a + b", 1]);
});

test("a formatter that is part of the accept makes the text that was accepted", () => {
  const ledger = accepted();
  ledger.edited(FILE, [{ offset: HEAD.length + 8, length: 3, text: "+" }]);
  ledger.formatted({ generation_id: ID });
  const [check] = ledger.due(at(30));
  assert.deepEqual([check!.distance, check!.original_length], [0, 10]);
});

test("over a restart the text is found again, wherever it moved meanwhile", () => {
  const written = JSON.parse(JSON.stringify(accepted().state));
  const ledger = new Ledger(written);
  assert.deepEqual(ledger.wanted(at(30)), [FILE]);
  ledger.opened(FILE, "# a new head\n".repeat(20) + HEAD + "return a + c\n");
  const [check] = ledger.due(at(30));
  assert.deepEqual([check!.current_text, check!.distance], ["return a + c", 1]);
  const gone = new Ledger(written);
  gone.opened(FILE, "something else altogether\n");
  assert.equal(gone.due(at(30))[0]!.status, "removed");
});

test("after days away each horizon that was missed is unobserved, and the last is looked at", () => {
  const ledger = new Ledger(JSON.parse(JSON.stringify(accepted().state)));
  ledger.opened(FILE, HEAD + TEXT);
  const checks = ledger.due(at(2 * DAY_S));
  assert.deepEqual(checks.map(({ horizon_s, status, reason }) => [horizon_s, status, reason]), [
    ...[30, 120, 300, 600, 900, 3_600].map((each) => [each, "unobserved", "editor_closed"]),
    [DAY_S, "present", undefined],
  ]);
  assert.equal(checks[6]!.elapsed_ms, 2 * DAY_S * 1000);
  assert.equal(ledger.nextDueMs, at(7 * DAY_S));
});

test("a renamed folder is followed, a file that cannot be read or is deleted says so, and one that is back is seen", () => {
  const ledger = accepted();
  ledger.renamed("file:///work/shop", "file:///work/store");
  assert.equal(ledger.due(at(30))[0]!.status, "present");
  ledger.closed("file:///work/store/add.py");
  assert.equal(ledger.due(at(120))[0]!.reason, "file_closed");
  ledger.deleted("file:///work/store");
  assert.equal(ledger.due(at(300))[0]!.reason, "file_deleted");
  ledger.opened("file:///work/store/add.py", HEAD + TEXT);
  assert.equal(ledger.due(at(600))[0]!.status, "present");
});

test("a commit and a branch switch are looked at when they happen, and what follows a switch says so", () => {
  const ledger = accepted();
  const [commit] = ledger.committed("file:///work/shop", at(10));
  assert.deepEqual([commit!.moment, commit!.horizon_s, commit!.elapsed_ms, commit!.retained_length], ["commit", undefined, 10_000, 12]);
  for (const other of ["file:///work/other", "file:///work/sh"]) assert.deepEqual(ledger.committed(other, at(10)), []);
  const [switched] = ledger.branchChanged("file:///work/shop", at(20));
  assert.deepEqual([switched!.moment, switched!.branch_changed], ["branch_change", true]);
  assert.equal(ledger.due(at(30))[0]!.branch_changed, true);
});

test("of a suggestion that is taken in parts the last accept has the checks", () => {
  const ledger = accepted();
  ledger.accept({ origin: { generation_id: ID }, accept_seq: 2, uri: FILE, start: HEAD.length, text: TEXT, atMs: at(5), horizons_s: [30] });
  assert.deepEqual(ledger.due(at(35)).map(({ accept_seq }) => accept_seq), [2]);
});

test("an edit that is taken back is reverted", () => {
  const ledger = accepted({ replaced: "raise NotImplementedError" });
  ledger.edited(FILE, [{ offset: HEAD.length, length: TEXT.length, text: "raise NotImplementedError" }]);
  assert.equal(ledger.due(at(30))[0]!.no_revert, 0);
});

test("whatever is edited, a range stays within its document, and an edit taken back gives it back", () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let trial = 0; trial < 3_000; trial++) {
    const document = "abcdefghij klmno pqrstu".slice(0, 5 + random(18));
    const start = random(document.length);
    const range = rangeAt(start, random(document.length - start + 1));
    const offset = random(document.length + 1);
    const edit = { offset, length: random(document.length - offset + 1), text: "xyz ab".slice(0, random(7)) };
    const after = moved(range, edit, document);
    const changed = edited(document, edit);
    assert.ok(0 <= after.start && after.start <= after.end && after.end <= changed.length, JSON.stringify({ range, edit, after }));
    if (after.clipped) {
      const undone = moved(after, { offset, length: edit.text.length, text: document.slice(offset, offset + edit.length) }, changed);
      assert.deepEqual([undone.start, undone.end], [range.start, range.end], JSON.stringify({ document, range, edit, after }));
    }
  }
});

test("a text is found nearest to where it was, and not where nothing is like it", () => {
  assert.deepEqual(findAgain("foo(1)", "foo(1) foo(1) foo(1)", 8), { start: 7, end: 13 });
  assert.equal(findAgain("return value", "completely different words", 3), null);
});
