/** The client of servers and workers, which make generations, too: with a key of scope all. */

import { Keeprate as Client } from "./client.ts";
import type { Event, Generation as GenerationEvent } from "./events.ts";
import type { Generation } from "./generation.ts";
import { uuid7 } from "./ids.ts";

const CONTENT = ["input", "output", "prompt_variables", "context_sources", "parameters", "attributes"];

/** Emits an app's generations, and what users do with them. */
export class Keeprate extends Client {
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

  override emit(event: Event): boolean {
    if (this.settings.content !== "off") return super.emit(event);
    const kept = Object.fromEntries(Object.entries(event).filter(([name]) => !CONTENT.includes(name))) as unknown as Event;
    return super.emit(kept.type === "generation" ? { ...kept, content_mode: "off" } : kept);
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
