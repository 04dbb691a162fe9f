/** A double of the editor for tests: a disk, an editor that is restarted, and a clock that is turned. */

import { type Change, type Clock, type Code, type Document, follow, type Uri } from "../src/editor/index.ts";
import type { Event, RetentionCheck } from "../src/events.ts";

export const ROOT = "file:///work";
export const TEXT = "return a + b";

class Signals<T> {
  #listeners = new Set<(event: T) => unknown>();
  on = (listener: (event: T) => unknown) => {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  };
  fire = (event: T): void => this.#listeners.forEach((listener) => listener(event));
}

export class Desk implements Clock {
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

  /** In the order in which VS Code says it: the old document is closed, the new one opened, and then it was a rename. */
  rename(document: Document, to: string): Document {
    const text = document.getText();
    this.files.delete(String(document.uri));
    this.documents.splice(this.documents.indexOf(document), 1);
    this.closed.fire(document);
    const renamed = this.open(to, text);
    this.renamed.fire({ files: [{ oldUri: document.uri, newUri: to }] });
    return renamed;
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
