/** The events of the contract. Made from schemas/event.v1.schema.json by `python -m tests.javascript.typings`. */

/** One message of an input or output, in the shape that model providers share, with whatever else they give. */
export interface Message extends Record<string, unknown> {
  role: string;
  content: unknown;
  name?: string | null;
  tool_calls?: unknown[] | null;
}

/** What every event carries. What is optional here the client fills in. */
export interface Envelope {
  /** a UUID, such as 0198c0de-0000-7000-8000-000000000001 */
  event_id?: string;
  schema_version?: number;
  /** milliseconds since the epoch, UTC */
  occurred_at?: number;
  /** 1 to 100 letters, digits, dots, underscores and hyphens, a letter or digit first */
  app?: string;
  /** a UUID, such as 0198c0de-0000-7000-8000-000000000001 */
  generation_id: string;
  environment?: string | null;
  /** a salted hash, never a name or address */
  user?: string | null;
  session?: string | null;
  choice_index?: number | null;
  /** of two facts about one thing, the higher revision holds */
  revision?: number | null;
  external_id?: string | null;
  producer_id?: string | null;
  producer_seq?: number | null;
  /** 32 hexadecimal digits in lower case */
  trace_id?: string | null;
  /** 16 hexadecimal digits in lower case */
  span_id?: string | null;
  attributes?: Record<string, string> | null;
}

/** What a user, or the app for them, did with a suggestion. */
export interface Action extends Envelope {
  type: "action";
  /** shown, accept, accept_partial, insert, copy, apply, reject, dismiss, ignore, supersede, undo, retry, regenerate, share, or an app's own beginning with x_ */
  action: string;
  /** UTF-16 code units */
  length?: number | null;
  lines?: number | null;
  /** milliseconds */
  dwell_ms?: number | null;
  /** which accept of this suggestion */
  accept_seq?: number | null;
  /** auto: applied with no accept step */
  accept_mode?: "user" | "auto" | null;
  formatted?: boolean | null;
}

/** A correction: what the output should have been. */
export interface Edit extends Envelope {
  type: "edit";
  corrected_text?: string | null;
  /** UTF-16 code units */
  original_length?: number | null;
  /** UTF-16 code units */
  corrected_length?: number | null;
  /** Levenshtein, output to correction */
  distance?: number | null;
  origin?: "user" | "expert" | "model" | null;
  comment?: string | null;
}

/** A judgement by a model, a person or code. */
export interface Evaluation extends Envelope {
  type: "evaluation";
  /** 1 to 100 lower-case letters, digits, underscores, dots, colons and hyphens, a letter first */
  name: string;
  annotator_kind: "human" | "llm" | "code";
  annotator?: string | null;
  value?: number | null;
  label?: string | null;
  explanation?: string | null;
}

/** A user marks an issue, or takes the mark back. */
export interface Flag extends Envelope {
  type: "flag";
  /** 1 to 100 lower-case letters, digits, underscores, dots, colons and hyphens, a letter first */
  label: string;
  status: "set" | "unset";
  severity?: "low" | "medium" | "high" | null;
  /** negative when absent */
  valence?: "positive" | "negative" | "neutral" | null;
  comment?: string | null;
}

/** One call of a model and its output. */
export interface Generation extends Envelope {
  type: "generation";
  operation?: string | null;
  surface?: string | null;
  language?: string | null;
  trigger?: string | null;
  provider?: string | null;
  model?: string | null;
  prompt_name?: string | null;
  prompt_version?: string | null;
  prompt_variables?: Record<string, unknown> | null;
  /** how the data in the prompt was selected */
  context_strategy?: string | null;
  context_sources?: string[] | null;
  tools_offered?: string[] | null;
  tools_called?: string[] | null;
  content_mode?: "full" | "hashed" | "off" | null;
  /** messages, or a text */
  input?: (Message | string)[] | Message | string | null;
  /** one message or text per choice */
  output?: (Message | string)[] | Message | string | null;
  choice_count?: number | null;
  parameters?: Record<string, unknown> | null;
  input_tokens?: number | null;
  output_tokens?: number | null;
  /** US dollars */
  cost_usd?: number | null;
  /** milliseconds */
  latency_ms?: number | null;
  /** milliseconds */
  time_to_first_token_ms?: number | null;
  finish_reason?: string | null;
  error_type?: string | null;
  error_message?: string | null;
  outcome?: "produced" | "empty" | "cancelled" | "failed" | "filtered" | null;
  /** a UUID, such as 0198c0de-0000-7000-8000-000000000001 */
  parent_generation_id?: string | null;
  /** the stage of a chain or agent */
  step?: string | null;
  experiment?: string | null;
  variant?: string | null;
}

/** How much of an accepted text still stood at a horizon after the accept. */
export interface RetentionCheck extends Envelope {
  type: "retention_check";
  /** seconds */
  horizon_s?: number | null;
  /** instead of a horizon */
  moment?: "commit" | "branch_change" | "close" | null;
  /** the client's monotonic time since the accept, milliseconds */
  elapsed_ms: number;
  status: "present" | "removed" | "unobserved";
  /** why unobserved: file_closed, file_deleted, exit, … */
  reason?: string | null;
  accept_seq?: number | null;
  /** UTF-16 code units */
  original_length?: number | null;
  /** UTF-16 code units */
  current_length?: number | null;
  /** Levenshtein, accepted text to current text */
  distance?: number | null;
  original_lexemes?: number | null;
  /** least edits that place the accepted lexemes inside the current ones; see docs/metrics.md */
  lexeme_distance?: number | null;
  four_gram?: number | null;
  no_revert?: number | null;
  /** accepted characters still there */
  retained_length?: number | null;
  /** all characters there, for the share that a model wrote */
  total_length?: number | null;
  branch_changed?: boolean | null;
  range_clipped?: boolean | null;
  current_text?: string | null;
}

/** A user's verdict: +1, -1, or 0 to withdraw; or a score on a scale. */
export interface Vote extends Envelope {
  type: "vote";
  value?: number | null;
  score?: number | null;
  scale_min?: number | null;
  scale_max?: number | null;
  comment?: string | null;
}

/** Any event. */
export type Event = Action | Edit | Evaluation | Flag | Generation | RetentionCheck | Vote;
