/** The client: what an app opens once and emits through. */

import type { Envelope, Event } from "./events.ts";
import { type Emitter, Generation } from "./generation.ts";
import { uuid7 } from "./ids.ts";
import { type Outbox, outbox, type Pace, type Stats } from "./outbox.ts";
import { indexedDbSpool, type Spool } from "./spool.ts";

/** How a client is set up. */
export interface Settings extends Partial<Pace> {
  /** The collector's address, without a path. */
  url: string;
  /** A key of `keeprate keys create`: for a page one with --scope feedback and --origin. */
  key: string;
  /** For example production. */
  environment?: string;
  /** Of every event that names no other: a salted hash, never a name or address. */
  user?: string;
  /** Of every event that names no other. */
  session?: string;
  /** What of texts leaves the page: all, or only their lengths and distances. */
  content?: "full" | "off";
  /** Sees each event before it is stored; what it returns is sent, and nothing where it throws or returns nothing. */
  before?: (event: Event) => Event | null | undefined;
  /** Where events outlive the page; null for memory only. */
  spool?: Spool | null;
  /** The platform's when left out. */
  fetch?: typeof fetch;
}

const PACE: Pace = {
  lingerMs: 1_000,
  batchBytes: 60_000,
  maxStored: 10_000,
  retryMs: 1_000,
};

/**
 * Emits what users do with an app's generations.
 *
 * `emit` and every method that emits return at once, wait for no disk and no network, and throw nothing into the app.
 * What could not be taken is counted in `stats()`. Throws TypeError for settings, naming the one.
 */
export class Keeprate implements Emitter {
  readonly app: string;
  readonly settings: Settings;
  readonly #outbox: Outbox;
  readonly #said = new Set<string>();

  constructor(app: string, settings: Settings) {
    const { url, key, spool } = settings;
    if (!app || !key) throw new TypeError("app, key: both needed");
    const address = new URL(url).href.replace(/\/+$/, "");
    this.app = app;
    this.settings = settings;
    // Spools of one app and collector are one: only its clients send each other's events.
    const name = `keeprate ${app} ${address}`;
    const disk = spool === undefined && globalThis.indexedDB ? indexedDbSpool(name) : spool;
    this.#outbox = outbox({ ...settings, url: address }, disk, { ...PACE, ...settings }, (problem) => this.#warn(problem));
    const { leave, retry } = this.#outbox;
    const on = globalThis.addEventListener;
    // A page that comes back into sight has nothing to leave, and does no harm.
    for (const event of ["visibilitychange", "pagehide"]) on?.(event, leave);
    on?.("online", retry);
  }

  /** The handle of a generation that was made elsewhere. origin: what each of its events repeats. */
  feedback(generation_id: string, origin?: Partial<Envelope>, outputs?: readonly string[]): Generation {
    return new Generation(this, { ...origin, generation_id }, outputs);
  }

  /** Take one event of the contract; whether it was taken. What it leaves out is filled in. */
  emit(event: Event): boolean {
    const { environment, user, session, content, before } = this.settings;
    const base = { event_id: uuid7(), occurred_at: Date.now(), app: this.app, environment, user, session };
    let reason = "redaction";
    try {
      const full = { ...base, ...event } as Record<string, unknown> & Event;
      // A mode that is not known here, as of another language, sends no texts either.
      if (content && content !== "full") for (const name of ["corrected_text", "current_text"]) delete full[name];
      const sent = before ? before(full) : full;
      if (!sent) throw reason;
      reason = "invalid";
      this.#outbox.put(JSON.stringify(sent));
      return true;
    } catch (error) {
      this.#warn(`${reason}: ${error}`);
      this.#outbox.drop(reason);
      return false;
    }
  }

  /** What became of every event of the app in this origin's pages, in numbers that add up. */
  stats(): Promise<Stats> {
    return this.#outbox.stats();
  }

  /** Wait until everything is answered for, at most so long; how many events are not. */
  flush(timeoutMs = 5_000): Promise<number> {
    return this.#outbox.flush(timeoutMs);
  }

  /** Deliver what there is for at most so long, and end; the rest stays stored. How many events are left. */
  close(timeoutMs = 5_000): Promise<number> {
    return this.flush(timeoutMs).finally(this.#outbox.close);
  }

  /** Tell the app's developer, once per kind. */
  #warn(problem: string): void {
    const kind = problem.split(":")[0]!;
    if (this.#said.has(kind)) return;
    this.#said.add(kind);
    console.warn("keeprate: " + problem);
  }
}
