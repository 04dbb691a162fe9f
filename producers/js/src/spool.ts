/**
 * The spool: where events wait until the collector has answered for them, and outlive the page.
 *
 * In browsers it is an IndexedDB database that all pages of an origin share. Its keys ascend and are never given twice,
 * so the last one says how many events were ever stored: a count that no code of ours keeps.
 */

import { type Accounts, accounts, sum } from "./accounts.ts";

/** One stored event: its key, and its JSON. */
export interface Entry {
  key: number;
  body: string;
}

/** What a spool holds. stored: how many events were ever stored in it. waiting: how many are there now. */
export interface Holding {
  settled: Accounts;
  stored: number;
  waiting: number;
}

/** Where a client keeps events. What a promise says has happened is so, whatever happens afterwards. */
export interface Spool {
  /** Store events, whole or not at all, and give their keys. Rejects where there is no room. */
  add(bodies: readonly string[]): Promise<number[]>;
  /** The oldest events. */
  peek(most: number): Promise<Entry[]>;
  /** Forget events and account for them, in one step. */
  retire(keys: readonly number[], change: Partial<Accounts>): Promise<void>;
  /** What it holds at this moment. */
  read(): Promise<Holding>;
  /** Resolves once this client is the one that sends, until it closes. */
  own(): Promise<void>;
  /** Call back whenever another client has stored something. */
  watch(stored: () => void): void;
  /** Let go of it. */
  close(): void;
}

/** What was settled, and the highest key of it. */
type Book = Accounts & { last: number };

/** The spool of this name in the browser's storage. */
export function indexedDbSpool(name: string): Spool {
  const opening = open(name);
  const channel = new BroadcastChannel(name);
  let release = (): void => {};
  /** Of events that were forgotten, where the book had no room for their account: it is written with the next. */
  let owed = accounts();
  let late = 0;

  /** Do something in one transaction, and give what it gives at the end of it. */
  async function run<T = void>(work: (events: IDBObjectStore, book: IDBObjectStore) => (() => T) | void): Promise<T> {
    const transaction = (await opening).transaction(["events", "book"], "readwrite");
    const result = work(transaction.objectStore("events"), transaction.objectStore("book"));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(result?.() as T);
      transaction.onabort = () => reject(transaction.error);
    });
  }
  /** The book with what is owed to it, and with more. */
  const written = (request: IDBRequest<Book | undefined>, keys: readonly number[] = [], change: Partial<Accounts> = {}): Book => {
    const { last, ...settled } = request.result ?? { last: 0, ...accounts() };
    return { last: Math.max(last, late, ...keys), ...sum(sum(settled, owed), change) };
  };

  return {
    async add(bodies) {
      const keys = await run((events) => {
        const added = bodies.map((body) => events.add({ body }));
        // Without it the page would have to live until the requests are answered.
        events.transaction.commit();
        return () => added.map((request) => request.result as number);
      });
      channel.postMessage(0);
      return keys;
    },

    peek: (most) =>
      run((events) => {
        const oldest = events.getAll(null, most);
        return () => oldest.result as Entry[];
      }),

    retire(keys, change) {
      const forget = (events: IDBObjectStore): void => keys.forEach((key) => void events.delete(key));
      return run((events, book) => {
        forget(events);
        const before = book.get(0);
        before.onsuccess = () => book.put(written(before, keys, change), 0);
        return () => void (owed = accounts());
      }).catch(async () => {
        // What is full has room for nothing but to become emptier.
        await run(forget);
        owed = sum(owed, change);
        late = Math.max(late, ...keys);
      });
    },

    read: () =>
      run((events, book) => {
        const page = book.get(0);
        const waiting = events.count();
        const newest = events.openKeyCursor(null, "prev");
        return () => {
          const { last: stored, ...settled } = written(page, [(newest.result?.key as number) ?? 0]);
          return { settled, stored, waiting: waiting.result };
        };
      }),

    own: () =>
      new Promise((resolve) => {
        const held = new Promise<void>((end) => (release = end));
        // Pages without a secure origin have no locks: each sends, and an event that went twice counts once by its id.
        if (!navigator.locks) return resolve();
        navigator.locks.request(name, () => (resolve(), held));
      }),

    watch(stored) {
      channel.onmessage = stored;
    },

    close() {
      release();
      channel.close();
      opening.then((database) => database.close()).catch(() => {});
    },
  };
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("events", { keyPath: "key", autoIncrement: true });
      request.result.createObjectStore("book");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
