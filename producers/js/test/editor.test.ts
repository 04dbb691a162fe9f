/** The VS Code library over a double of the editor: what it says is followed, over a restart. The clock is the test's. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, type Clock, type Code, type Document, follow, type Uri } from "../src/editor/index.ts";
import type { Event, RetentionCheck } from "../src/events.ts";
import { Generation } from "../src/generation.ts";
import { ID } from "./helpers.ts";

const ROOT = "file:///work";
const TEXT = "return a + b";

class Signals<T> {
  #listeners = new Set<(event: T) => unknown>();
  on = (listener: (event: T) => unknown) => {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  };
  fire = (event: T): void => this.#listeners.forEach((listener) => listener(event));
}

/** A disk, an editor that is restarted, and a clock that is turned. */
class Desk implements Clock {
  nowMs = 1_750_000_000_000;
  files = new Map<string, string>();
  events: Event[] = [];
  head = { name: "main" };
  alarms: { ms: number; ring: () => void }[] = [];
  opened = new Signals<Document>();
  closed = new Signals<Document>();
  changed = new Signals<{ document: Document; contentChanges: readonly Change[] }>();
  renamed = new Signals<{ files: readonly { oldUri: Uri; newUri: Uri }[] }>();
  deleted = new Signals<{ files: readonly Uri[] }>();
  git = { state: new Signals<unknown>(), commit: new Signals<unknown>() };
  documents: Document[] = [];

  now = (): number => this.nowMs;
  at = (ms: number, ring: () => void): (() => void) => {
    const alarm = { ms, ring };
    this.alarms.push(alarm);
    return () => void (this.alarms = this.alarms.filter((each) => each !== alarm));
  };

  async pass(seconds: number): Promise<void> {
    this.nowMs += seconds * 1000;
    for (let turn = 0; turn < 50; turn++) {
      const due = this.alarms.find(({ ms }) => ms <= this.nowMs);
      this.alarms = this.alarms.filter((each) => each !== due);
      due?.ring();
      await new Promise((wake) => setImmediate(wake));
      if (!due) break;
    }
  }

  get code(): Code {
    const gone = Object.assign(new Error("gone"), { code: "FileNotFound" });
    const read = async (uri: Uri) => {
      const text = this.files.get(String(uri));
      if (text === undefined) throw gone;
      return new TextEncoder().encode(text);
    };
    const repository = { rootUri: ROOT, state: { HEAD: this.head, onDidChange: this.git.state.on }, onDidCommit: this.git.commit.on };
    const git = { getAPI: () => ({ repositories: [repository], onDidOpenRepository: new Signals().on }) };
    return {
      Uri: { parse: (text) => text, joinPath: (base, ...parts) => [base, ...parts].join("/") },
      extensions: { getExtension: () => ({ isActive: true, exports: git, activate: async () => git }) },
      workspace: {
        textDocuments: this.documents,
        fs: {
          createDirectory: async () => {},
          readFile: read,
          writeFile: async (uri, content) => void this.files.set(String(uri), new TextDecoder().decode(content)),
        },
        onDidOpenTextDocument: this.opened.on,
        onDidCloseTextDocument: this.closed.on,
        onDidChangeTextDocument: this.changed.on,
        onDidRenameFiles: this.renamed.on,
        onDidDeleteFiles: this.deleted.on,
      },
    };
  }

  start = () => {
    const context = { storageUri: "file:///storage", globalStorageUri: "file:///global", subscriptions: [] };
    return follow(this.code, context, { emit: (event) => !!this.events.push(event) }, this);
  };

  open(uri: string, text: string): Document {
    this.files.set(uri, text);
    const document = { uri, getText: () => this.files.get(uri)! };
    this.documents.push(document);
    this.opened.fire(document);
    return document;
  }

  edit(document: Document, rangeOffset: number, rangeLength: number, text: string): void {
    const before = document.getText();
    this.files.set(String(document.uri), before.slice(0, rangeOffset) + text + before.slice(rangeOffset + rangeLength));
    this.changed.fire({ document, contentChanges: [{ rangeOffset, rangeLength, text }] });
  }

  get checks(): unknown[][] {
    return (this.events as RetentionCheck[]).map((each) => [each.horizon_s ?? each.moment, each.current_text ?? each.reason]);
  }
}

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
  desk.files.set(`${ROOT}/b.py`, TEXT);
  desk.renamed.fire({ files: [{ oldUri: `${ROOT}/a.py`, newUri: `${ROOT}/b.py` }] });
  desk.closed.fire({ uri: `${ROOT}/b.py`, getText: () => "" });
  await desk.pass(30);
  assert.deepEqual(desk.checks, [[30, TEXT]]);
  desk.deleted.fire({ files: [ROOT] });
  desk.files.delete(`${ROOT}/b.py`);
  await desk.pass(90);
  assert.deepEqual(desk.checks[1], [120, "file_deleted"]);
});
