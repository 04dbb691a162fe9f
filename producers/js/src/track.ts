/**
 * Tracking in pages: what becomes of an accepted text in an input, an editor, or wherever a function reads it.
 *
 *     track(suggestion.accept("return a + b"), followInput(textarea, start, "return a + b"));
 *
 * Checks that a page does not live to make are not made: the processor counts them as unobserved. An editor that is to
 * look again after days keeps them itself: keeprate/editor.
 */

import type { RetentionCheck } from "./events.ts";
import type { Generation } from "./generation.ts";
import { editBetween, moved, rangeAt } from "./ranges.ts";
import { survival } from "./survival.ts";

export { type Edit, edited, editBetween, findAgain, moved, type Range, rangeAt } from "./ranges.ts";
export * from "./survival.ts";
export { length, levenshtein, lineCount } from "./text.ts";

/** When an accepted text is looked at, in seconds after the accept. */
export const HORIZONS_S: readonly number[] = [30, 120, 300, 600];

/** The text now; empty when it was removed, null or undefined when it cannot be read. */
export type Read = () => string | null | undefined | Promise<string | null | undefined>;

type Found = Omit<RetentionCheck, "elapsed_ms" | "generation_id" | "type">;

/** What a retention check says of the accepted text and of what it has become, for `retentionCheck`. */
export function compare(original: string, current: string | null | undefined, reason = "no_text"): Found {
  if (current == null) return { status: "unobserved", reason };
  const found = survival(original, current);
  if (!found) return { status: "unobserved", reason: "too_long" };
  return { status: current ? "present" : "removed", ...found, current_text: current };
}

/**
 * Look at the text that this handle accepted at each horizon after the accept, and emit how much of it still stands.
 *
 * What it returns ends the tracking: the checks to come are then not made.
 */
export function track(handle: Generation, read: Read, horizons_s = HORIZONS_S): () => void {
  const { text, now, sequence } = handle.accepted;
  // An accept of nothing is left out of retention, and without an accept there is nothing to track.
  if (!text) return () => {};
  const timers = horizons_s.map((horizon_s) => {
    const look = async (): Promise<void> => {
      let found: Found;
      try {
        found = compare(text, await read());
      } catch {
        found = { status: "unobserved", reason: "read_failed" };
      }
      const elapsed_ms = Math.max(Math.round(performance.now() - now), horizon_s * 1000);
      handle.retentionCheck({ horizon_s, elapsed_ms, accept_seq: sequence, ...found });
    };
    return setTimeout(look, Math.max(0, now + horizon_s * 1000 - performance.now()));
  });
  return () => timers.forEach((timer) => clearTimeout(timer));
}

/** What `followInput` needs of an input or a textarea. */
export interface Input extends EventTarget {
  readonly value: string;
  readonly isConnected?: boolean;
}

/** Follow a text that stands at `start` of an input or a textarea through what is typed. For `track`. */
export function followInput(input: Input, start: number, text: string): Read {
  let before = input.value;
  let range = rangeAt(start, text.length);
  const follow = (): void => {
    const after = input.value;
    range = moved(range, editBetween(before, after), before);
    before = after;
  };
  input.addEventListener("input", follow);
  return () => {
    if (input.isConnected === false) return null;
    // Also what a script has set, which no event tells of.
    follow();
    return before.slice(range.start, range.end);
  };
}
