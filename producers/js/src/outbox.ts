/**
 * The outbox: from an emitted event to the collector's answer for it.
 *
 *     emitted -> stored in the spool -> sent by the one client that owns it -> answered -> retired, with its account
 *
 * Where nothing can be stored, events wait in this client's memory and are sent from there. An event leaves only by the
 * collector's answer, or counted as dropped.
 */

import { type Accounts, accounts, type Counts, sum } from "./accounts.ts";
import { type Address, KEEPALIVE_BYTES, send } from "./sender.ts";
import type { Entry, Holding, Spool } from "./spool.ts";

/** How a client sends. Times in milliseconds. */
export interface Pace {
  /** How long events wait for others to go along. */
  lingerMs: number;
  /** The most bytes of one request; an event that is larger goes alone. */
  batchBytes: number;
  /** The most events that wait in storage; beyond it the oldest go, counted. */
  maxStored: number;
  /** The first wait after a failure; it doubles up to a minute. */
  retryMs: number;
}

/** A client's accounts: accepted = delivered + pending + spooled + lost. */
export interface Stats {
  accepted: number;
  delivered: number;
  /** In this client's memory only. */
  pending: number;
  /** Stored, and waiting; they outlive the page. */
  spooled: number;
  lost: number;
  /** Lost, by reason. */
  dropped: Counts;
  /** What the collector refused, by "error_type field". */
  refusals: Counts;
  last_error: string;
}

/** What a client does with its events. */
export interface Outbox {
  /** Take an event's JSON. */
  put(body: string): void;
  /** Count an event that was not even taken. */
  drop(reason: string): void;
  /** The page may be gone in a moment: send what fits in requests that outlive it. */
  leave(): void;
  /** Ask the collector again at once: something has changed, such as the network. */
  retry(): void;
  /** Wait until everything is answered for, at most so long; how many events are not. */
  flush(timeoutMs: number): Promise<number>;
  /** The accounts of all clients that share the spool, and of what this one has in memory. */
  stats(): Promise<Stats>;
  /** Send no more, and let another client do it. */
  close(): void;
}

const MOST = 500;
/** Events that wait in memory, where nothing can be stored; beyond it new ones go, counted. */
const MAX_HELD = 1_000;
const MAX_WAIT_MS = 60_000;

/** A client's outbox. disk: none for memory only. say: hears what is wrong. */
// A function with its state in variables, not a class: names of variables shrink, and every page pays for them.
export function outbox(to: Address, disk: Spool | null | undefined, pace: Pace, say: (problem: string) => void): Outbox {
  /** Emitted, and not stored yet. */
  const fresh: string[] = [];
  /** What could not be stored on disk; its keys are negative. */
  let held: Entry[] = [];
  const holding: Holding = { settled: accounts(), stored: 0, waiting: 0 };
  /** Stored while this client owns the disk, and not answered for: what a page that is left sends at once. */
  const own = new Map<number, Entry>();
  /** Keys of what is on its way. */
  const flying = new Set<number>();
  let flyingBytes = 0;
  /** How often events left `fresh`: what was read of the disk meanwhile may count them twice, or not at all. */
  let moves = 0;
  let most = MOST;
  let failures = 0;
  let notBefore = 0;
  let isOwner = false;
  let isStoring = false;
  let isSending = false;
  let isAskedAgain = false;
  let isClosed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let dueAt = Infinity;
  let lastError = "";

  const stored = (): void => soon(pace.lingerMs);
  disk?.watch(stored);
  disk?.own().then(() => {
    isOwner = true;
    soon(0);
  });

  function drop(reason: string): void {
    holding.stored++;
    holding.settled = sum(holding.settled, { dropped: { [reason]: 1 } });
  }

  function put(body: string): void {
    fresh.push(body);
    if (isStoring) return;
    isStoring = true;
    // Whatever an app emits in one go is stored in one go.
    queueMicrotask(store);
  }

  async function store(): Promise<void> {
    while (fresh[0]) {
      const bodies = [...fresh];
      try {
        const keys = await disk!.add(bodies);
        if (isOwner) keys.forEach((key, at) => own.set(key, { key, body: bodies[at]! }));
      } catch (error) {
        if (disk) lastError = "" + error;
        for (const body of bodies) held.length < MAX_HELD ? held.push({ key: -++holding.stored, body }) : drop("full");
      }
      fresh.splice(0, bodies.length);
      moves++;
    }
    isStoring = false;
    stored();
  }

  /** Work so much later, or earlier where that was said before, and not before the collector may be asked again. */
  function soon(afterMs: number): void {
    const at = Math.max(Date.now() + afterMs, notBefore);
    if (isClosed || at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(work, at - Date.now());
    // Node ends when nothing but this is left to do.
    (timer as { unref?(): void }).unref?.();
  }

  /** Send batch after batch, until there is nothing left or no answer comes. */
  async function work(): Promise<void> {
    dueAt = Infinity;
    isAskedAgain = true;
    if (isSending) return;
    isSending = true;
    while (isAskedAgain && Date.now() >= notBefore) {
      isAskedAgain = false;
      while (await step());
    }
    isSending = false;
    if (isAskedAgain) soon(0);
  }

  /** Send one batch; whether there may be more to send at once. */
  async function step(): Promise<boolean | undefined> {
    try {
      if (held[0]) return await fly(held);
      if (!isOwner) return;
      const excess = (await disk!.read()).waiting - pace.maxStored;
      if (excess > 0) {
        const keys = (await disk!.peek(excess)).map(({ key }) => key).filter((key) => !flying.has(key));
        await disk!.retire(keys, { dropped: { evicted: keys.length } });
      }
      return await fly(await disk!.peek(most + flying.size));
    } catch (error) {
      lastError = "" + error;
    }
    return;
  }

  /** Send as many from the front as one request may carry, and one at least; whether they are answered for. */
  async function fly(all: readonly Entry[], room = pace.batchBytes, isLeaving?: boolean): Promise<boolean | undefined> {
    const keys: number[] = [];
    const bodies: string[] = [];
    let bytes = 0;
    for (const { key, body } of all) {
      const size = new Blob([body]).size + 1;
      if (flying.has(key)) continue;
      if (keys[0] && (bytes + size > room || keys.length >= most)) break;
      bytes += size;
      keys.push(key);
      bodies.push(body);
    }
    if (!keys[0]) return;
    for (const key of keys) flying.add(key);
    flyingBytes += bytes;
    // Other requests of the page count towards the limit, too, so after a failure it is tried without.
    const keepalive = flyingBytes <= KEEPALIVE_BYTES && (isLeaving || !failures);
    const { settled, smaller, waitMs, said } = await send(to, bodies, keepalive);
    flyingBytes -= bytes;
    if (said) say((lastError = said));
    if (smaller) most = keys.length >> 1;
    try {
      if (settled) await settle(keys, settled);
      if (settled || smaller) return true;
    } catch (error) {
      lastError = "" + error;
    } finally {
      for (const key of keys) flying.delete(key);
    }
    const backoffMs = Math.min(MAX_WAIT_MS, pace.retryMs * 2 ** failures++) * (0.5 + Math.random());
    notBefore = Date.now() + Math.max(waitMs ?? 0, backoffMs);
    soon(0);
    return;
  }

  async function settle(keys: number[], settled: Partial<Accounts>): Promise<void> {
    if (keys[0]! > 0) await disk!.retire(keys, settled);
    else holding.settled = sum(holding.settled, settled);
    held = held.filter(({ key }) => !keys.includes(key));
    for (const key of keys) own.delete(key);
    failures = notBefore = 0;
    most = Math.min(MOST, most * 2);
  }

  async function stats(): Promise<Stats> {
    let found: Holding | undefined;
    let before: number;
    do {
      before = moves;
      found = (await disk?.read().catch(() => {})) as Holding | undefined;
    } while (before < moves);
    const all = sum(holding, { ...found });
    const pending = fresh.length + held.length;
    const lost = Object.values(all.settled.dropped).reduce((a, b) => a + b, 0);
    const rest = { pending, spooled: all.waiting, lost, last_error: lastError };
    return { accepted: all.stored + fresh.length, ...all.settled, ...rest };
  }

  return {
    put,
    drop,
    stats,

    leave() {
      if (isClosed || Date.now() < notBefore) return;
      fly(held[0] ? held : [...own.values()], KEEPALIVE_BYTES - flyingBytes, true);
      // Stored in a moment, or never: it may go twice then, and counts once by its id.
      if (fresh[0]) send(to, fresh, true);
    },

    retry() {
      notBefore = 0;
      soon(0);
    },

    async flush(timeoutMs) {
      for (const until = Date.now() + timeoutMs; ; await new Promise((wake) => setTimeout(wake, 20))) {
        const { pending, spooled } = await stats();
        if (!(pending + spooled) || Date.now() >= until) return pending + spooled;
        soon(0);
      }
    },

    close() {
      isClosed = true;
      clearTimeout(timer);
      disk?.close();
    },
  };
}
