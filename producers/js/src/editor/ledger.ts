/**
 * Accepted texts in the documents of an editor, followed until their last horizon. Pure: no clock, no editor, no disk.
 *
 * What happens comes in, with its time; checks go out, in the words of the events. The state is JSON, so that it
 * outlives the editor: a document that was not watched meanwhile is searched for the text.
 */

import type { Envelope, RetentionCheck } from "../events.ts";
import { type Edit, edited, editBetween, findAgain, moved, type Range, rangeAt } from "../ranges.ts";
import { noRevert, survival } from "../survival.ts";

/** 30 s to 15 min as Copilot looks, then an hour, a day and a week. */
export const HORIZONS_S: readonly number[] = [30, 120, 300, 600, 900, 3_600, 86_400, 604_800];

/** A text that was accepted. */
export interface Accept {
  origin: Envelope;
  accept_seq: number;
  uri: string;
  start: number;
  text: string;
  /** What it took the place of. */
  replaced?: string;
  /** Wall clock, milliseconds: it must outlive the editor. */
  atMs: number;
  horizons_s?: readonly number[];
}

/** An accept, as far as it was followed. */
export interface Followed {
  origin: Envelope;
  accept_seq: number;
  uri: string;
  original: string;
  replaced: string;
  atMs: number;
  due: number[];
  range: Range;
  /** The range's text when it was last seen: by it the range is found again. */
  current: string;
  branch_changed: boolean;
  /** The file is gone: it is looked for no more, unless it comes back. */
  isDeleted: boolean;
}

/** The fields of a check, for `client.emit`. */
export type Check = RetentionCheck;

type Moment = NonNullable<RetentionCheck["moment"]>;

export class Ledger {
  readonly #followed: Followed[];
  /** The documents that are open, as they are now. */
  readonly #open = new Map<string, string>();

  /** state: what `state` gave to whoever wrote it down. */
  constructor(state: readonly Followed[] = []) {
    this.#followed = structuredClone([...state]);
  }

  /** All that is to be written down. */
  get state(): readonly Followed[] {
    return this.#followed;
  }

  /** When the next check is due; undefined where none is. */
  get nextDueMs(): number | undefined {
    const times = this.#followed.map(({ atMs, due }) => atMs + due[0]! * 1000);
    return times.length ? Math.min(...times) : undefined;
  }

  /** Whether a text is followed in this document. */
  follows(uri: string): boolean {
    return this.#of(uri).length > 0;
  }

  /** The documents of the checks that are due, of those that are not open: to be read, and given to `opened`. */
  wanted(nowMs: number): string[] {
    return this.#unopened(this.#followed.filter((each) => isDue(each, nowMs)));
  }

  /** The documents below a folder that are not open: to be read before its checks. */
  unopened(folder: string): string[] {
    return this.#unopened(this.#below(folder));
  }

  /** A text was accepted, and stands in its document already. An empty one is left out of retention. */
  accept({ origin, accept_seq, uri, start, text, replaced = "", atMs, horizons_s = HORIZONS_S }: Accept): void {
    if (!text) return;
    // Of one suggestion the last accept has the checks.
    this.#forget((each) => same(each.origin, origin));
    const range = rangeAt(start, text.length);
    const due = [...horizons_s].sort((a, b) => a - b);
    const rest = { original: text, replaced, current: text, branch_changed: false, isDeleted: false };
    this.#followed.push({ origin, accept_seq, uri, atMs, due, range, ...rest });
  }

  /** A formatter ran as part of an accept: what it made of the text is what was accepted. */
  formatted(origin: Envelope): void {
    for (const each of this.#followed) if (same(each.origin, origin)) each.original = each.current;
  }

  /** A document is open, or was read. Ranges in it are searched where it changed unseen. */
  opened(uri: string, text: string): void {
    const before = this.#open.get(uri);
    if (before === text) return;
    if (before !== undefined) return this.edited(uri, [editBetween(before, text)]);
    this.#open.set(uri, text);
    for (const each of this.#of(uri)) {
      each.isDeleted = false;
      const { start, end } = each.range;
      if (text.slice(start, end) === each.current) continue;
      const found = findAgain(each.current || each.original, text, start);
      const gone = { start: Math.min(start, text.length), end: Math.min(start, text.length) };
      Object.assign(each.range, found ?? gone, { taken: [] });
      each.current = text.slice(each.range.start, each.range.end);
    }
  }

  /** A document was edited; of several edits none speaks of what another made. */
  edited(uri: string, edits: readonly Edit[]): void {
    let text = this.#open.get(uri);
    if (text === undefined) return;
    // From the end, so that offsets stay those of the document before.
    for (const edit of [...edits].sort((a, b) => b.offset - a.offset)) {
      for (const each of this.#of(uri)) each.range = moved(each.range, edit, text);
      text = edited(text, edit);
    }
    this.#open.set(uri, text);
    for (const each of this.#of(uri)) each.current = text.slice(each.range.start, each.range.end);
  }

  /** A document was closed. */
  closed(uri: string): void {
    this.#open.delete(uri);
  }

  /** A file, or all in a folder, has another name. */
  renamed(from: string, to: string): void {
    const other = (uri: string): string => (uri === from || uri.startsWith(from + "/") ? to + uri.slice(from.length) : uri);
    for (const each of this.#followed) each.uri = other(each.uri);
    for (const [uri, text] of [...this.#open]) {
      this.#open.delete(uri);
      this.#open.set(other(uri), text);
    }
  }

  /** A file, or all in a folder, is gone. */
  deleted(uri: string): void {
    for (const each of this.#followed) if (each.uri === uri || each.uri.startsWith(uri + "/")) each.isDeleted = true;
    this.#open.delete(uri);
  }

  /** Another branch was checked out below a folder: what its files say now is not what users made of them. */
  branchChanged(folder: string, nowMs: number): Check[] {
    const there = this.#below(folder);
    for (const each of there) each.branch_changed = true;
    return there.map((each) => this.#check(each, nowMs, { moment: "branch_change" }));
  }

  /** A commit was made below a folder. */
  committed(folder: string, nowMs: number): Check[] {
    return this.#below(folder).map((each) => this.#check(each, nowMs, { moment: "commit" }));
  }

  /** The checks that are due. Of several that are over for one text the last is made: the others would be as late. */
  due(nowMs: number): Check[] {
    const checks = this.#followed.filter((each) => isDue(each, nowMs)).flatMap((each) => this.#checksOf(each, nowMs));
    this.#forget(({ due }) => !due.length);
    return checks;
  }

  #checksOf(each: Followed, nowMs: number): Check[] {
    const horizons = each.due.filter((horizon_s) => each.atMs + horizon_s * 1000 <= nowMs);
    each.due = each.due.slice(horizons.length);
    return horizons.map((horizon_s, at) =>
      at < horizons.length - 1
        ? { ...this.#base(each, nowMs, { horizon_s }), status: "unobserved", reason: "editor_closed" }
        : this.#check(each, nowMs, { horizon_s }),
    );
  }

  #check(each: Followed, nowMs: number, when: { horizon_s: number } | { moment: Moment }): Check {
    const base = this.#base(each, nowMs, when);
    const document = this.#open.get(each.uri);
    const reason = each.isDeleted ? "file_deleted" : document === undefined ? "file_closed" : "";
    if (reason) return { ...base, status: "unobserved", reason };
    const found = survival(each.original, each.current);
    if (!found) return { ...base, status: "unobserved", reason: "too_long" };
    const no_revert = noRevert([{ before: each.replaced, made: each.original, current: each.current }]);
    const clipped = each.range.clipped ? { range_clipped: true } : {};
    const status = each.current ? "present" : "removed";
    return { ...base, ...found, ...clipped, no_revert, status, current_text: each.current, total_length: document!.length };
  }

  #base(each: Followed, nowMs: number, when: { horizon_s?: number; moment?: Moment }): Omit<Check, "status"> {
    const elapsed_ms = Math.max(nowMs - each.atMs, (when.horizon_s ?? 0) * 1000);
    const changed = each.branch_changed ? { branch_changed: true } : {};
    return { ...each.origin, type: "retention_check", accept_seq: each.accept_seq, ...when, elapsed_ms, ...changed };
  }

  #unopened(some: readonly Followed[]): string[] {
    return [...new Set(some.map(({ uri }) => uri))].filter((uri) => !this.#open.has(uri));
  }

  #of(uri: string): Followed[] {
    return this.#followed.filter((each) => each.uri === uri);
  }

  #below(folder: string): Followed[] {
    const within = folder.replace(/\/*$/, "/");
    return this.#followed.filter(({ uri }) => uri.startsWith(within));
  }

  #forget(isOver: (each: Followed) => boolean): void {
    const kept = this.#followed.filter((each) => !isOver(each));
    this.#followed.splice(0, Infinity, ...kept);
  }
}

const isDue = ({ atMs, due }: Followed, nowMs: number): boolean => due.length > 0 && atMs + due[0]! * 1000 <= nowMs;

const same = (a: Envelope, b: Envelope): boolean =>
  a.generation_id === b.generation_id && (a.choice_index ?? 0) === (b.choice_index ?? 0);
