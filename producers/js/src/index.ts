/** Keeprate for browsers, workers and Node: emit what users keep of what a model wrote. */

export { Keeprate, type Settings } from "./client.ts";
export type * from "./events.ts";
export { Generation as Handle, type More } from "./generation.ts";
export type { Pace, Stats } from "./outbox.ts";
export { type Entry, type Holding, indexedDbSpool, type Spool } from "./spool.ts";
