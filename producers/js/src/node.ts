/**
 * The client of servers in Node, with files in the place of a browser's storage.
 *
 * Each process has a directory of its own below the spool's, named by its id, so none waits for another. Whoever finds
 * one whose process has ended takes it over.
 */

import { createHmac, randomUUID } from "node:crypto";
import { appendFileSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Accounts, accounts, sum } from "./accounts.ts";
import { Keeprate as Server, type ServerSettings } from "./server.ts";
import type { Entry, Spool } from "./spool.ts";

export { Generation as Handle } from "./generation.ts";
export type { Settings } from "./client.ts";

const ADOPT_MS = 60_000;
const COMPACT_LINES = 5_000;

/** `ServerSettings`, of which the address and the key may come from KEEPRATE_URL and KEEPRATE_KEY. */
export type NodeSettings = Partial<Omit<ServerSettings, "content">> & {
  /** What of texts leaves the process: all, keyed fingerprints, or only their lengths and distances. */
  content?: "full" | "hashed" | "off";
  /** Of fingerprints: a secret, the same in every process of the app. KEEPRATE_USER_SALT when left out. */
  salt?: string;
  /** KEEPRATE_SPOOL_DIR, else ~/.local/state/keeprate/spool-js; on a disk that outlives the process. */
  directory?: string;
};

/** A server's client: events outlive the process in files. */
export class Keeprate extends Server {
  constructor(app: string, settings: NodeSettings = {}) {
    const { KEEPRATE_URL = "", KEEPRATE_KEY = "", KEEPRATE_SPOOL_DIR, KEEPRATE_USER_SALT } = process.env;
    const { url = KEEPRATE_URL, key = KEEPRATE_KEY, directory = KEEPRATE_SPOOL_DIR ?? home(), ...given } = settings;
    const { content, salt = KEEPRATE_USER_SALT, ...rest } = given;
    const isHashed = content === "hashed";
    if (isHashed && !salt) throw new TypeError("salt: content hashed needs one, or KEEPRATE_USER_SALT");
    const name = `${app}-${url}`.replace(/[^\w.-]+/g, "_");
    const spool = rest.spool === undefined ? fileSpool(join(directory, name)) : rest.spool;
    const all = { batchBytes: 1 << 19, maxStored: 100_000, ...rest, ...(content && !isHashed && { content }), url, key, spool };
    super(app, all, isHashed ? (text) => keyed(text, salt!) : undefined);
  }
}

const home = (): string => join(homedir(), ".local", "state", "keeprate", "spool-js");

/** The pseudonym of a user, the same as the Python SDK's with the same salt, which is a secret. */
export function userHash(user: string, salt: string): string {
  return keyed(`user:${user}`, salt);
}

const keyed = (text: string, salt: string): string => createHmac("sha256", salt).update(text).digest("hex").slice(0, 32);

type Line = { add: Entry[] } | { retire: number[]; change: Partial<Accounts> };

/** A spool of files below a directory: what is written survives a kill of the process, and not always one of the machine. */
export function fileSpool(directory: string): Spool {
  const own = join(directory, `${process.pid}-${randomUUID()}`);
  const path = join(own, "log");
  const waiting = new Map<number, Entry>();
  let settled = accounts();
  let stored = 0;
  let lines = 0;
  let file: number | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;
  let notify = (): void => {};

  /** In one write, so that a kill or a full disk leaves a line whole or cut, and a cut one is none. */
  function write(line: Line): void {
    if (file === undefined) {
      mkdirSync(own, { recursive: true, mode: 0o700 });
      file = openSync(path, "a", 0o600);
    }
    writeSync(file, "\n" + JSON.stringify(line) + "\n");
    lines++;
    apply(line);
  }

  function apply(line: Line): void {
    if ("add" in line) {
      for (const entry of line.add) waiting.set(entry.key, entry);
    } else {
      for (const key of line.retire) waiting.delete(key);
      settled = sum(settled, line.change);
    }
  }

  function add(bodies: readonly string[]): number[] {
    const entries = bodies.map((body, at) => ({ key: stored + at + 1, body }));
    write({ add: entries });
    stored += entries.length;
    return entries.map(({ key }) => key);
  }

  function compact(): void {
    const fresh = `${path}.new`;
    const left: Line[] = [{ retire: [], change: settled }, { add: [...waiting.values()] }];
    rmSync(fresh, { force: true });
    appendFileSync(fresh, left.map((line) => JSON.stringify(line) + "\n").join(""), { mode: 0o600 });
    renameSync(fresh, path);
    closeSync(file!);
    file = undefined;
    lines = left.length;
  }

  /** Take over what processes left behind that have ended. */
  function adopt(): void {
    for (const name of names(directory)) {
      const from = join(directory, name);
      if (isAlive(Number.parseInt(name))) continue;
      // Whoever renames it has it: of two that find it, one fails.
      const mine = join(directory, `${process.pid}-adopting-${name.replace(/^\d+-(adopting-)*/, "")}`);
      try {
        renameSync(from, mine);
        const left = [...read(join(mine, "log")).values()];
        if (left.length) add(left.map(({ body }) => body));
        rmSync(mine, { recursive: true, force: true });
        if (left.length) notify();
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") process.emitWarning(`keeprate: ${from}: ${error}`);
      }
    }
  }

  return {
    add: async (bodies) => add(bodies),
    peek: async (most) => [...waiting.values()].slice(0, most),

    async retire(keys, change) {
      write({ retire: [...keys], change });
      if (lines > COMPACT_LINES && lines > 4 * waiting.size) compact();
    },

    read: async () => ({ settled, stored, waiting: waiting.size }),

    async own() {
      adopt();
      timer = setInterval(adopt, ADOPT_MS);
      timer.unref();
    },

    watch(callback) {
      notify = callback;
    },

    close() {
      clearInterval(timer);
      if (file !== undefined) closeSync(file);
      file = undefined;
      if (!waiting.size) rmSync(own, { recursive: true, force: true });
    },
  };
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** The events of a log that were not answered for. */
function read(path: string): Map<number, Entry> {
  const waiting = new Map<number, Entry>();
  for (const text of readFileSync(path, "utf8").split("\n")) {
    let line: Line;
    try {
      line = JSON.parse(text) as Line;
    } catch {
      continue;
    }
    if ("add" in line) for (const entry of line.add) waiting.set(entry.key, entry);
    else for (const key of line.retire) waiting.delete(key);
  }
  return waiting;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
