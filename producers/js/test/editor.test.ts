/** The VS Code library over a double of the editor: what it says is followed, over a restart. The clock is the test's. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RetentionCheck } from "../src/events.ts";
import { Generation } from "../src/generation.ts";
import { Desk, ROOT, TEXT } from "./desk.ts";
import { ID } from "./helpers.ts";

test("a session of accepting, editing, renaming, committing, restarting and coming back after days", async () => {
  const desk = new Desk();
  let retention = await desk.start();
  const document = desk.open(`${ROOT}/add.py`, "# add\n");
  const handle = new Generation({ emit: () => true }, { generation_id: ID }).accept(TEXT);
  desk.edit(document, 6, 0, TEXT);
  retention.accept(handle, document, 6, TEXT);
  await desk.pass(30);
  desk.edit(document, 0, 0, "import math\n");
  desk.edit(document, 12 + 6 + 9, 1, "-");
  await desk.pass(90);
  desk.git.commit.fire(undefined);
  desk.head.name = "topic";
  desk.git.state.fire(undefined);
  desk.git.state.fire(undefined);
  await retention.saved();
  retention.dispose();

  // The editor is closed, the file renamed by something else and edited, and the editor comes back after a day.
  desk.documents = [];
  await desk.pass(86_000);
  assert.equal(desk.events.length, 4);
  desk.files.set(`${ROOT}/add.py`, "# moved\n".repeat(9) + document.getText());
  retention = await desk.start();
  await desk.pass(400);
  desk.files.delete(`${ROOT}/add.py`);
  await desk.pass(7 * 86_400);
  const current = "return a - b";
  const closed = [300, 600, 900, 3_600].map((horizon_s) => [horizon_s, "editor_closed"]);
  assert.deepEqual(desk.checks, [
    [30, TEXT],
    [120, current],
    ["commit", current],
    ["branch_change", current],
    ...closed,
    [86_400, current],
    [604_800, "file_deleted"],
  ]);
  const [first, second] = desk.events as RetentionCheck[];
  assert.deepEqual([first!.generation_id, first!.accept_seq, first!.distance, second!.distance], [ID, 1, 0, 1]);
  assert.equal((desk.events as RetentionCheck[]).filter((each) => each.branch_changed).length, 7);
  await retention.saved();
  assert.equal(desk.files.get("file:///storage/keeprate-retention.json"), "[]");
  assert.deepEqual(desk.alarms, []);
});

test("a renamed file is followed, and one that cannot be read says so", async () => {
  const desk = new Desk();
  const retention = await desk.start();
  const document = desk.open(`${ROOT}/a.py`, TEXT);
  const handle = new Generation({ emit: () => true }, { generation_id: ID }).accept(TEXT);
  retention.accept(handle, document, 0, TEXT);
  const renamed = desk.rename(document, `${ROOT}/b.py`);
  desk.edit(renamed, 9, 1, "-");
  desk.closed.fire(renamed);
  await desk.pass(30);
  desk.git.commit.fire(undefined);
  await desk.pass(0);
  assert.deepEqual(desk.checks, [[30, "return a - b"], ["commit", "return a - b"]]);
  desk.deleted.fire({ files: [ROOT] });
  desk.files.delete(`${ROOT}/b.py`);
  await desk.pass(90);
  assert.deepEqual(desk.checks[2], [120, "file_deleted"]);
});
