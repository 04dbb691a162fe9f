-- One flat row per suggestion, derived from its merged outcome when it lands (reading/definition.sql); the newest
-- derivation replaces the ones before. No content, and nothing that merges: this is what is counted and listed.
-- The key is the outcome's, because when a suggestion occurred may still change, and its identity may not.

CREATE TABLE IF NOT EXISTS suggestions (
  app LowCardinality(String),
  generation_id UUID,
  choice_index UInt16,
  derived_at Int64 COMMENT 'nanoseconds, by the store',
  orphan Bool,
  cohort_ms Int64,
  cohort_at DateTime64(3, 'UTC'),
  hour UInt32 COMMENT 'since the epoch',
  environment LowCardinality(String),
  user String,
  session String,
  operation LowCardinality(String),
  surface LowCardinality(String),
  language LowCardinality(String),
  trigger LowCardinality(String),
  provider LowCardinality(String),
  model LowCardinality(String),
  prompt_name LowCardinality(String),
  prompt_version LowCardinality(String),
  context_strategy LowCardinality(String),
  step LowCardinality(String),
  parent_generation_id String,
  experiment LowCardinality(String),
  variant LowCardinality(String),
  outcome LowCardinality(String),
  finish_reason LowCardinality(String),
  error_type LowCardinality(String),
  trace_id String,
  input_tokens Nullable(Int64),
  output_tokens Nullable(Int64),
  cost_usd Nullable(Decimal(18, 9)),
  latency_ms Nullable(Int64),
  time_to_first_token_ms Nullable(Int64),
  tools_offered UInt32,
  tools_called UInt32,
  first_shown_at Nullable(DateTime64(3, 'UTC')),
  last_shown_at Nullable(DateTime64(3, 'UTC')),
  first_accepted_at Nullable(DateTime64(3, 'UTC')),
  last_accepted_at Nullable(DateTime64(3, 'UTC')),
  retention_from Nullable(DateTime64(3, 'UTC')),
  accept_hour UInt32 COMMENT 'of retention_from, since the epoch',
  accept_seq UInt32,
  accept_mode LowCardinality(String),
  last_undone_at Nullable(DateTime64(3, 'UTC')),
  shown_hours Array(UInt32),
  any_hours Array(UInt32),
  shown_length Nullable(Int64),
  shown_lines Nullable(Int64),
  dwell_ms Nullable(Int64),
  accepted_length Nullable(Int64),
  accepted_lines Nullable(Int64),
  displayed Bool,
  shown Bool,
  shown_read Bool,
  accepted Bool,
  accepted_full Bool,
  auto_applied Bool,
  orphan_accept Bool,
  end_reason LowCardinality(String),
  ended_unshown Bool,
  undone Bool,
  used Bool,
  corrected Bool,
  checked Bool,
  changed Bool,
  touchless Bool,
  retainable Bool,
  long_term_inserted_char Nullable(Int64),
  long_term_retained_char Nullable(Int64),
  long_term_total_char Nullable(Int64),
  checks Nested(
    horizon_s UInt32,
    state Enum8('unchanged' = 1, 'mostly' = 2, 'changed' = 3, 'removed' = 4, 'unobserved' = 5, 'missing' = 6,
      'late' = 7, 'branch_changed' = 8),
    weight Int64,
    distance_ratio Float64,
    lexeme_ratio Float64,
    four_gram_sent Bool,
    four_gram Float64,
    no_revert Float64,
    retained_sent Bool,
    retained_char Int64,
    modification Float64,
    total_char Int64
  ),
  voted Bool,
  votes_positive UInt32,
  votes_negative UInt32,
  flag_labels Array(LowCardinality(String)),
  negative Bool,
  corrections UInt32,
  correction_distances_known UInt32,
  correction_distance_sum Decimal(18, 9),
  actions Array(LowCardinality(String)),
  judged Nested(
    evaluation LowCardinality(String),
    annotator String,
    label String,
    truth String
  ),
  INDEX by_hour hour TYPE minmax GRANULARITY 1,
  INDEX by_accept_hour accept_hour TYPE minmax GRANULARITY 1,
  INDEX by_user user TYPE bloom_filter GRANULARITY 4
)
ENGINE = ReplacingMergeTree(derived_at)
PARTITION BY if(UUIDv7ToDateTime(generation_id, 'UTC') BETWEEN toDateTime64('2024-01-01 00:00:00', 3, 'UTC') AND toDateTime64('2049-12-31 00:00:00', 3, 'UTC'), toYYYYMM(UUIDv7ToDateTime(generation_id, 'UTC')), 0)
ORDER BY (app, toUInt128(generation_id), choice_index)
SETTINGS non_replicated_deduplication_window = 10000;

-- Which hours of which app were touched, and when: a derivation marks the hours that its suggestions are in, and those
-- that they were in before.

CREATE TABLE IF NOT EXISTS hour_marks (
  app LowCardinality(String),
  hour UInt32,
  touched_at SimpleAggregateFunction(max, Int64) COMMENT 'nanoseconds, by the store'
)
ENGINE = AggregatingMergeTree
ORDER BY (app, hour)
SETTINGS non_replicated_deduplication_window = 10000;

-- Which hours are summed: as they were when last touched at touched_at. All that settles with time in them has, once
-- settles_ms is past. definition names the tables that hold the sums.

CREATE TABLE IF NOT EXISTS hour_sums (
  app LowCardinality(String),
  hour UInt32,
  definition String,
  touched_at Int64,
  settles_ms Int64
)
ENGINE = ReplacingMergeTree(touched_at)
ORDER BY (app, hour, definition)
SETTINGS non_replicated_deduplication_window = 10000;
