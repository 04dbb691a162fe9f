/**
 * What of an app's content leaves a server where not all of it may: fingerprints, or nothing. As the Python SDK does it.
 *
 * Content is what the model read and wrote and what became of it, and what parameters and attributes say in words. What
 * users say of it (comments, explanations) is feedback, and always sent.
 */

import type { Event } from "./events.ts";

/** A keyed digest of a text: equal texts have equal ones. */
export type Fingerprint = (text: string) => string;

type Fields = Record<string, unknown>;

const MESSAGES = ["input", "output"];
const TEXTS = ["prompt_variables", "context_sources", "corrected_text", "current_text"];
const FREE = ["parameters", "attributes"];

/** The event with fingerprints in the place of content, or without it where there is no fingerprint. */
export function reduced(event: Event, fingerprint?: Fingerprint): Event {
  const kept = { ...event } as Fields;
  const { output } = kept;
  if (output != null) kept.choice_count ??= Array.isArray(output) ? output.length || null : 1;
  for (const name of [...MESSAGES, ...TEXTS, ...FREE]) {
    const value = kept[name];
    if (value == null) continue;
    if (FREE.includes(name)) kept[name] = free(value as Fields, name === "parameters", fingerprint);
    else if (!fingerprint) delete kept[name];
    else if (TEXTS.includes(name)) kept[name] = mapped(value, fingerprint);
    else kept[name] = Array.isArray(value) ? value.map((each) => message(each, fingerprint)) : message(value, fingerprint);
  }
  if (kept.type === "generation") kept.content_mode = fingerprint ? "hashed" : "off";
  return kept as unknown as Event;
}

/** A message with its role, and all else that it says as one fingerprint. */
function message(said: unknown, fingerprint: Fingerprint): unknown {
  if (typeof said !== "object" || !said) return digest(said, fingerprint);
  const { role, name, ...rest } = said as Fields;
  const content = Object.fromEntries(Object.entries(rest).filter(([, value]) => value != null));
  const isText = typeof content.content === "string" && Object.keys(content).length === 1;
  return { role, content: digest(isText ? content.content : content, fingerprint) };
}

/** Numbers and switches of parameters, such as temperature, are no content. */
function free(values: Fields, isParameters: boolean, fingerprint?: Fingerprint): Fields | undefined {
  const left = Object.entries(values).flatMap(([name, value]): [string, unknown][] => {
    if (isParameters && ["number", "boolean"].includes(typeof value)) return [[name, value]];
    // The names within a structure may be an app's own too, so a structure is one fingerprint.
    return fingerprint ? [[name, digest(value, fingerprint)]] : [];
  });
  return left.length ? Object.fromEntries(left) : undefined;
}

/** The value with every text in it a fingerprint; keys, roles and numbers stay. */
function mapped(value: unknown, fingerprint: Fingerprint): unknown {
  if (typeof value === "string") return fingerprint(value);
  if (Array.isArray(value)) return value.map((each) => mapped(each, fingerprint));
  if (typeof value !== "object" || !value) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, name === "role" ? each : mapped(each, fingerprint)]));
}

const digest = (value: unknown, fingerprint: Fingerprint): string =>
  fingerprint(typeof value === "string" ? value : JSON.stringify(value));
