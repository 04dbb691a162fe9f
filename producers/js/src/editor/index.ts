/**
 * Follow accepted texts in VS Code: through edits, undo, formatting, renames and branch switches, over restarts, until a
 * week after the accept.
 *
 *     const retention = await follow(vscode, context, client);
 *     retention.accept(suggestion, document, offset, text);    // in the command that an inline completion runs
 *
 * The decisions are the ledger's; here is only what the editor says, the disk and the clock.
 */

import type { Event } from "../events.ts";
import type { Generation } from "../generation.ts";
import { type Check, type Followed, Ledger } from "./ledger.ts";

export { type Accept, type Check, type Followed, HORIZONS_S, Ledger } from "./ledger.ts";

/** What is used of the module `vscode`. */
export interface Code {
  Uri: { parse(text: string): Uri; joinPath(base: Uri, ...parts: string[]): Uri };
  extensions: { getExtension(id: string): { isActive: boolean; exports: unknown; activate(): PromiseLike<unknown> } | undefined };
  workspace: {
    textDocuments: readonly Document[];
    fs: {
      createDirectory(uri: Uri): PromiseLike<void>;
      readFile(uri: Uri): PromiseLike<Uint8Array>;
      writeFile(uri: Uri, content: Uint8Array): PromiseLike<void>;
    };
    onDidOpenTextDocument: Signal<Document>;
    onDidCloseTextDocument: Signal<Document>;
    onDidChangeTextDocument: Signal<{ document: Document; contentChanges: readonly Change[] }>;
    onDidRenameFiles: Signal<{ files: readonly { oldUri: Uri; newUri: Uri }[] }>;
    onDidDeleteFiles: Signal<{ files: readonly Uri[] }>;
  };
}

export interface Uri {
  toString(): string;
}

export interface Document {
  uri: Uri;
  getText(): string;
}

export interface Change {
  rangeOffset: number;
  rangeLength: number;
  text: string;
}

export interface Disposable {
  dispose(): unknown;
}

export type Signal<T> = (listener: (event: T) => unknown) => Disposable;

/** What is used of an extension's context. */
export interface Context {
  /** Of the workspace, so that no two windows write one file. */
  storageUri: Uri | undefined;
  globalStorageUri: Uri;
  subscriptions: Disposable[];
}

interface Repository {
  rootUri: Uri;
  state: { HEAD?: { name?: string } | undefined; onDidChange: Signal<unknown> };
  onDidCommit?: Signal<unknown>;
}

interface Git {
  getAPI(version: 1): { repositories: readonly Repository[]; onDidOpenRepository: Signal<Repository> };
}

/** The wall clock and its alarm, so that a test can turn days. */
export interface Clock {
  now(): number;
  at(ms: number, ring: () => void): () => void;
}

const CLOCK: Clock = {
  now: Date.now,
  at(ms, ring) {
    const timer = setTimeout(ring, Math.max(0, ms - Date.now()));
    return () => clearTimeout(timer);
  },
};

/** What an extension does with an accept. */
export interface Retention extends Disposable {
  /** A text was accepted on this handle, and stands at an offset of the document. replaced: what it took the place of. */
  accept(handle: Generation, document: Document, start: number, text: string, replaced?: string): void;
  /** A formatter ran as part of the accept: what it made is what was accepted. */
  formatted(handle: Generation): void;
  /** Resolves once all is written down. */
  saved(): Promise<void>;
}

/** Take up what was followed before, and go on. */
export async function follow(
  code: Code,
  context: Context,
  client: { emit(event: Event): boolean },
  clock = CLOCK,
): Promise<Retention> {
  const { workspace, Uri } = code;
  const folder = context.storageUri ?? context.globalStorageUri;
  const file = Uri.joinPath(folder, "keeprate-retention.json");
  const ledger = new Ledger(await readState(code, file));
  let saving = Promise.resolve();
  let cancel = (): void => {};

  const emit = (checks: Check[]): void => checks.forEach((check) => client.emit(check));
  const open = (document: Document): void => {
    if (ledger.follows(String(document.uri))) ledger.opened(String(document.uri), document.getText());
  };

  function changed(): void {
    const content = new TextEncoder().encode(JSON.stringify(ledger.state));
    saving = saving
      .then(() => workspace.fs.createDirectory(folder))
      .then(() => workspace.fs.writeFile(file, content))
      .catch((error) => console.warn(`keeprate: checks to come will not survive a restart: ${error}`));
    cancel();
    const next = ledger.nextDueMs;
    if (next !== undefined) cancel = clock.at(next, () => void look());
  }

  const look = (): Promise<void> => reading(ledger.wanted(clock.now()), () => ledger.due(clock.now()));

  /** Make checks, for which documents that are not open are read. */
  async function reading(unopened: string[], check: () => Check[]): Promise<void> {
    for (const uri of unopened) {
      try {
        ledger.opened(uri, new TextDecoder().decode(await workspace.fs.readFile(Uri.parse(uri))));
      } catch (error) {
        // Any other reason leaves it unread, which the check says.
        if ((error as { code?: string }).code === "FileNotFound") ledger.deleted(uri);
      }
    }
    emit(check());
    const isOpen = new Set(workspace.textDocuments.map(({ uri }) => String(uri)));
    for (const uri of unopened) if (!isOpen.has(uri)) ledger.closed(uri);
    changed();
  }

  function edited({ document, contentChanges }: { document: Document; contentChanges: readonly Change[] }): void {
    const uri = String(document.uri);
    if (!ledger.follows(uri)) return;
    const edits = contentChanges.map(({ rangeOffset, rangeLength, text }) => ({ offset: rangeOffset, length: rangeLength, text }));
    ledger.edited(uri, edits);
    // Where the editor's idea of the document is another, its is right.
    ledger.opened(uri, document.getText());
    changed();
  }

  const listeners = [
    workspace.onDidOpenTextDocument(open),
    workspace.onDidCloseTextDocument(({ uri }) => ledger.closed(String(uri))),
    workspace.onDidChangeTextDocument(edited),
    workspace.onDidRenameFiles(({ files }) => {
      for (const { oldUri, newUri } of files) ledger.renamed(String(oldUri), String(newUri));
      // The editor has closed the document and opened another before it says so, and that was nobody's yet.
      workspace.textDocuments.forEach(open);
      changed();
    }),
    workspace.onDidDeleteFiles(({ files }) => {
      for (const uri of files) ledger.deleted(String(uri));
      changed();
    }),
  ];
  await watchGit(code, listeners, {
    committed: (root) => void reading(ledger.unopened(root), () => ledger.committed(root, clock.now())),
    branchChanged: (root) => void reading(ledger.unopened(root), () => ledger.branchChanged(root, clock.now())),
  });
  workspace.textDocuments.forEach(open);
  changed();

  const retention: Retention = {
    accept(handle, document, start, text, replaced = "") {
      const uri = String(document.uri);
      // Typed on before the command ran: the document as it is now is what is followed.
      ledger.opened(uri, document.getText());
      const { origin, accepted } = handle;
      ledger.accept({ origin, accept_seq: accepted.sequence || 1, uri, start, text, replaced, atMs: clock.now() });
      changed();
    },
    formatted(handle) {
      ledger.formatted(handle.origin);
      changed();
    },
    saved: () => saving,
    dispose() {
      cancel();
      for (const listener of listeners) listener.dispose();
    },
  };
  context.subscriptions.push(retention);
  return retention;
}

async function readState(code: Code, file: Uri): Promise<Followed[]> {
  try {
    return JSON.parse(new TextDecoder().decode(await code.workspace.fs.readFile(file))) as Followed[];
  } catch (error) {
    if ((error as { code?: string }).code !== "FileNotFound") console.warn(`keeprate: checks to come cannot be read: ${error}`);
    return [];
  }
}

async function watchGit(
  code: Code,
  listeners: Disposable[],
  on: { committed(root: string): void; branchChanged(root: string): void },
): Promise<void> {
  const extension = code.extensions.getExtension("vscode.git");
  if (!extension) return;
  const git = (extension.isActive ? extension.exports : await extension.activate()) as Git;
  const watch = (repository: Repository): void => {
    const root = String(repository.rootUri);
    let branch = repository.state.HEAD?.name;
    const look = (): void => {
      const now = repository.state.HEAD?.name;
      // While a repository opens its branch is not known yet.
      if (branch !== undefined && now !== branch) on.branchChanged(root);
      branch = now ?? branch;
    };
    listeners.push(repository.state.onDidChange(look));
    if (repository.onDidCommit) listeners.push(repository.onDidCommit(() => on.committed(root)));
  };
  const api = git.getAPI(1);
  api.repositories.forEach(watch);
  listeners.push(api.onDidOpenRepository(watch));
}
