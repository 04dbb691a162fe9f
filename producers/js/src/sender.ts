/** Sending: one batch to the collector, and what its answer says of each event. */

import type { Accounts } from "./accounts.ts";

/** What a keepalive request may carry: browsers allow 64 KiB for all that a page has on its way. */
export const KEEPALIVE_BYTES = 60_000;
const TIMEOUT_MS = 30_000;

/** Where to send, by the platform's fetch or a test's. */
export interface Address {
  url: string;
  key: string;
  fetch?: typeof fetch;
}

/**
 * What an answer means. settled: what became of the events, which are then done with; without it they are to be sent
 * again. smaller: in smaller batches. waitMs: not before. said: what is wrong, for the app's developer.
 */
export interface Verdict {
  settled?: Partial<Accounts>;
  smaller?: boolean;
  waitMs?: number;
  said?: string;
}

interface Refusal {
  error_type: string;
  field: string;
  reason: string;
}

/** The collector's answer to a batch, or its refusal of the request. */
export interface Answer extends Partial<Refusal> {
  accepted?: number;
  errors?: Refusal[];
}

/** Send the JSON of events. Never rejects. */
export async function send(to: Address, bodies: readonly string[], keepalive: boolean): Promise<Verdict> {
  try {
    const response = await (to.fetch ?? fetch)(to.url + "/v1/events", {
      method: "POST",
      keepalive,
      headers: { authorization: "Bearer " + to.key, "content-type": "application/json" },
      body: `[${bodies}]`,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = await response.json().catch(() => 0);
    return judge(bodies.length, response.status, answer || {}, response.headers.get("retry-after"));
  } catch (error) {
    return { said: "" + error };
  }
}

/** Read an answer. An event is settled only where the collector says so of it. */
export function judge(count: number, status: number, answer: Answer, retryAfter: string | null): Verdict {
  const { accepted, errors, error_type } = answer;
  if (errors && accepted! + errors.length === count) return settled(accepted!, errors);
  // These are about what was sent, so it is sent in parts until the one event is found that they are about.
  const isContent = error_type && [400, 413, 422].includes(status);
  if (isContent && count < 2) return settled(0, [answer as Refusal]);
  const said = error_type ? kind(answer as Refusal) + ": " + answer.reason : "status " + status;
  return isContent ? { smaller: true, said } : { waitMs: 1000 * +retryAfter! || 0, said };
}

function settled(delivered: number, errors: readonly Refusal[]): Verdict {
  const [first] = errors;
  if (!first) return { settled: { delivered } };
  const refusals: Record<string, number> = {};
  for (const each of errors) refusals[kind(each)] = (refusals[kind(each)] ?? 0) + 1;
  const all = { delivered, dropped: { refused: errors.length }, refusals };
  return { settled: all, said: kind(first) + ": " + first.reason };
}

const kind = ({ error_type, field }: Refusal): string => error_type + (field && " " + field);
