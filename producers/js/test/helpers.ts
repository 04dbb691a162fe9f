/** What tests share: a collector that answers as it is told, and clients that wait for nothing. */

import assert from "node:assert/strict";
import { Keeprate, type ServerSettings } from "../src/server.ts";

export interface Sent {
  url: string;
  events: Record<string, unknown>[];
  keepalive: boolean;
  headers: Record<string, string>;
  atMs: number;
}

export type Answer = { status: number; body?: unknown; headers?: Record<string, string> };

/** Takes every event, unless `answer` says otherwise of a request, or throws as a network that is away. */
export class FakeCollector {
  sent: Sent[] = [];
  answer: (events: Record<string, unknown>[]) => Answer | Promise<Answer> = taken;

  fetch = async (url: unknown, request?: RequestInit): Promise<Response> => {
    const events = JSON.parse(String(request?.body)) as Record<string, unknown>[];
    const headers = request?.headers as Record<string, string>;
    this.sent.push({ url: String(url), events, keepalive: !!request?.keepalive, headers, atMs: performance.now() });
    const { status, body, headers: answered } = await this.answer(events);
    return new Response(JSON.stringify(body), { status, headers: answered ?? {} });
  };

  get events(): Record<string, unknown>[] {
    return this.sent.flatMap(({ events }) => events);
  }
}

export const taken = (events: unknown[]): Answer => ({
  status: 202,
  body: { accepted: events.length, refused: 0, errors: [] },
});

export const ID = "0197c0de-0000-7000-8000-000000000001";

export function client(collector: FakeCollector, more: Partial<ServerSettings> = {}): Keeprate {
  const fetch = collector.fetch as typeof globalThis.fetch;
  return new Keeprate("shop", { url: "https://collector.example/", key: "kr_1_2", lingerMs: 0, retryMs: 1, fetch, ...more });
}

/** Wait until something is so. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 5_000; Date.now() < end; await new Promise((wake) => setTimeout(wake, 5))) {
    if (await isSo()) return;
  }
  assert.fail("it never was so");
}

/** accepted = delivered + pending + spooled + lost, and lost is the sum of its reasons. */
export async function balanced(keeprate: Keeprate): Promise<Awaited<ReturnType<Keeprate["stats"]>>> {
  const stats = await keeprate.stats();
  assert.equal(stats.accepted, stats.delivered + stats.pending + stats.spooled + stats.lost);
  assert.equal(stats.lost, Object.values(stats.dropped).reduce((a, b) => a + b, 0));
  return stats;
}
