/**
 * Generations and what users do with them, in the words of the domain.
 *
 *     const suggestion = client.feedback(generationId).shown("return a + b");
 *     suggestion.accept().vote(1);
 *
 * Every method emits one event and returns the handle, so that calls chain. None waits, and none throws into the app.
 */

import type { Action, Edit, Envelope, Evaluation, Event, Flag, RetentionCheck, Vote } from "./events.ts";
import { length, levenshtein, lineCount } from "./text.ts";

/** What a handle's method may add to its event. */
export type More<E extends Event> = Partial<Omit<E, "type" | "event_id">>;

/** The last accept of a suggestion: retention is measured from it. now: by the monotonic clock. */
export interface Accepted {
  sequence: number;
  text?: string | undefined;
  atMs: number;
  now: number;
}

/** What a handle needs of its client. */
export interface Emitter {
  emit(event: Event): boolean;
}

const size = (text?: string): { length?: number; lines?: number } =>
  text == null ? {} : { length: length(text), lines: lineCount(text) };

/** One suggestion of a generation, made here or elsewhere, and what becomes of it. */
export class Generation {
  #emitter: Emitter;
  /** What each event of it repeats: its id, and what is known of user, session and trace. */
  readonly origin: Readonly<Envelope>;
  readonly #outputs: readonly string[];
  readonly accepted: Accepted = { sequence: 0, atMs: 0, now: 0 };

  constructor(emitter: Emitter, origin: Envelope, outputs: readonly string[] = []) {
    this.#emitter = emitter;
    this.origin = origin;
    this.#outputs = outputs;
  }

  /** The generation_id, for feedback that is given elsewhere. */
  get id(): string {
    return this.origin.generation_id;
  }

  /** The suggestion's text, where this page knows it. */
  get text(): string | undefined {
    return this.#outputs[this.origin.choice_index ?? 0];
  }

  /** The same generation's suggestion at another index. */
  choice(index: number): Generation {
    return new Generation(this.#emitter, { ...this.origin, choice_index: index }, this.#outputs);
  }

  /** It was displayed. text: as displayed. */
  shown(text = this.text, more?: More<Action>): this {
    return this.action("shown", { ...size(text), ...more });
  }

  /** It was taken whole. text: as taken. accept_mode `auto`: applied with no accept step. */
  accept(text = this.text, more?: More<Action>): this {
    return this.#accept("accept", text, { accept_mode: "user", ...more });
  }

  /** A part was taken. text: all that has been taken so far, not what this step adds. */
  acceptPartial(text: string, more?: More<Action>): this {
    return this.#accept("accept_partial", text, more);
  }

  /** It was inserted where the user works. */
  insert(more?: More<Action>): this {
    return this.action("insert", more);
  }

  /** It was copied. */
  copy(more?: More<Action>): this {
    return this.action("copy", more);
  }

  /** It was applied to the user's document. */
  apply(more?: More<Action>): this {
    return this.action("apply", more);
  }

  /** The user refused it. A later accept wins. */
  reject(more?: More<Action>): this {
    return this.action("reject", more);
  }

  /** The user closed it. */
  dismiss(more?: More<Action>): this {
    return this.action("dismiss", more);
  }

  /** The user went on without it. */
  ignore(more?: More<Action>): this {
    return this.action("ignore", more);
  }

  /** The user took the accept back. */
  undo(more?: More<Action>): this {
    return this.action("undo", more);
  }

  /** Any action: one that the contract names, or an app's own beginning with x_. */
  action(action: string, more?: More<Action>): this {
    return this.#emit({ type: "action", action, ...more });
  }

  /** Thumbs up, thumbs down, or 0 to withdraw. The user's latest vote counts, once. */
  vote(value: -1 | 0 | 1, more?: More<Vote>): this {
    return this.#emit({ type: "vote", value, ...more });
  }

  /** A verdict on a scale from low to high. */
  score(score: number, low: number, high: number, more?: More<Vote>): this {
    return this.#emit({ type: "vote", score, scale_min: low, scale_max: high, ...more });
  }

  /** The user marks an issue. Without a valence it counts as negative. */
  flag(label: string, more?: More<Flag>): this {
    return this.#emit({ type: "flag", label, status: "set", ...more });
  }

  /** The user takes the mark back. */
  unflag(label: string, more?: More<Flag>): this {
    return this.#emit({ type: "flag", label, status: "unset", ...more });
  }

  /** What the output should have been. original: the text that was corrected, where it is not the output. */
  edit(corrected: string, more: More<Edit> & { original?: string } = {}): this {
    const { original = this.text, ...rest } = more;
    const distance = original == null ? null : levenshtein(original, corrected);
    const lengths = distance === null ? {} : { original_length: length(original!), distance };
    const corrected_length = length(corrected);
    return this.#emit({ type: "edit", origin: "user", corrected_text: corrected, corrected_length, ...lengths, ...rest });
  }

  /**
   * How much of the accepted text still stands, by `compare` of keeprate/track, which sends these by itself.
   *
   * elapsed_ms: since the accept; measured where this handle accepted.
   */
  retentionCheck(found: More<RetentionCheck> & Pick<RetentionCheck, "status">): this {
    const { sequence, now } = this.accepted;
    const elapsed_ms = Math.round(performance.now() - now);
    return this.#emit({ type: "retention_check", accept_seq: sequence || 1, ...(sequence && { elapsed_ms }), ...found });
  }

  /** A judgement by a model, a person or code. Not with a key of scope feedback. */
  evaluation(name: string, more: More<Evaluation>): this {
    return this.#emit({ type: "evaluation", name, annotator_kind: "code", ...more });
  }

  #accept(action: string, text: string | undefined, more?: More<Action>): this {
    const sequence = this.accepted.sequence + 1;
    Object.assign(this.accepted, { sequence, text, atMs: Date.now(), now: performance.now() });
    return this.action(action, { accept_seq: sequence, ...size(text), ...more });
  }

  #emit(event: Record<string, unknown>): this {
    this.#emitter.emit({ ...this.origin, ...event } as unknown as Event);
    return this;
  }
}
