/** The client of servers and workers, which make generations, too: with a key of scope all. */

import { Keeprate as Client, type Settings } from "./client.ts";
import { type Fingerprint, reduced } from "./content.ts";
import type { Event, Generation as GenerationEvent } from "./events.ts";
import type { Generation } from "./generation.ts";
import { uuid7 } from "./ids.ts";

export interface ServerSettings extends Settings {
  /** Throw where an event is made that cannot be taken, for development. */
  strict?: boolean;
}

/** Emits an app's generations, and what users do with them. */
export class Keeprate extends Client {
  readonly #isStrict: boolean | undefined;

  /** fingerprint: what stands in the place of content, where that is neither sent nor left out. */
  constructor(app: string, settings: ServerSettings, fingerprint?: Fingerprint) {
    const { before = (event) => event, content, strict } = settings;
    const isReduced = fingerprint || (content && content !== "full");
    super(app, isReduced ? { ...settings, before: (event) => (event = before(event)!) && reduced(event, fingerprint) } : settings);
    this.#isStrict = strict;
  }

  override emit(event: Event): boolean {
    const isTaken = super.emit(event);
    if (!isTaken && this.#isStrict) throw new Error("keeprate: an event was not taken; the console says why");
    return isTaken;
  }

  /** Emit a generation, and return the handle for what becomes of it. */
  generation(fields: Partial<Omit<GenerationEvent, "type">>): Generation {
    const { generation_id = uuid7(), user, session, trace_id, output } = fields;
    this.emit({ ...fields, generation_id, type: "generation" });
    const known = Object.entries({ user, session, trace_id }).filter(([, value]) => value != null);
    return this.feedback(generation_id, Object.fromEntries(known), texts(output));
  }

  /** A generation_id to hand out before the call is made. */
  newId(): string {
    return uuid7();
  }
}

/** The texts of an output, one for each choice. What is no text is none. */
function texts(output: GenerationEvent["output"]): string[] {
  const choices = Array.isArray(output) ? output : [output];
  return choices.map((choice) => {
    const content = typeof choice === "object" && choice ? choice.content : choice;
    return typeof content === "string" ? content : undefined;
  }) as string[];
}
