-- One suggestion's state, merged by the engine as schemas/outcome.py merges it: a partial row is always safe to insert.
-- The columns are KEY_COLUMNS and FIELDS of schemas/outcome.py, in that order.
-- ClickHouse sorts a UUID by its second half, so the key takes its number: neighbours in time stay neighbours on disk.

CREATE TABLE IF NOT EXISTS outcomes (
  app String,
  generation_id UUID,
  choice_index UInt16,
  generation SimpleAggregateFunction(max, Tuple(revision UInt32, occurred_at Int64, event_id String, environment String, user String, session String, operation String, surface String, language String, trigger String, provider String, model String, prompt_name String, prompt_version String, context_strategy String, step String, parent_generation_id String, experiment String, variant String, outcome String, finish_reason String, error_type String, input_tokens Int64, output_tokens Int64, cost_usd Float64, latency_ms Int64, time_to_first_token_ms Int64, tools_offered Int64, tools_called Int64, trace_id String)),
  first_at SimpleAggregateFunction(minMap, Map(String, Int64)),
  last_at SimpleAggregateFunction(maxMap, Map(String, Int64)),
  shown_length SimpleAggregateFunction(max, Int64) DEFAULT -1,
  shown_lines SimpleAggregateFunction(max, Int64) DEFAULT -1,
  dwell_ms SimpleAggregateFunction(max, Int64) DEFAULT -1,
  accepted_length SimpleAggregateFunction(max, Int64) DEFAULT -1,
  accepted_lines SimpleAggregateFunction(max, Int64) DEFAULT -1,
  accept SimpleAggregateFunction(max, Tuple(accept_seq UInt32, occurred_at Int64, event_id String, mode String, length Int64)),
  votes SimpleAggregateFunction(maxMap, Map(String, Tuple(revision UInt32, occurred_at Int64, event_id String, value Int8, score Float64))),
  flags SimpleAggregateFunction(maxMap, Map(String, Tuple(revision UInt32, occurred_at Int64, event_id String, label String, active UInt8, severity String, valence String))),
  corrections SimpleAggregateFunction(maxMap, Map(String, Tuple(revision UInt32, occurred_at Int64, event_id String, distance Int64, original_length Int64, corrected_length Int64, origin String))),
  retention SimpleAggregateFunction(maxMap, Map(String, Tuple(accept_seq UInt32, revision UInt32, occurred_at Int64, event_id String, status String, reason String, elapsed_ms Int64, original_length Int64, current_length Int64, distance Int64, original_lexemes Int64, lexeme_distance Int64, four_gram Float64, no_revert Float64, retained_length Int64, total_length Int64, branch_changed UInt8, range_clipped UInt8))),
  evaluations SimpleAggregateFunction(maxMap, Map(String, Tuple(revision UInt32, occurred_at Int64, event_id String, name String, annotator_kind String, annotator String, has_value UInt8, value Float64, label String)))
)
ENGINE = AggregatingMergeTree
PARTITION BY if(UUIDv7ToDateTime(generation_id, 'UTC') BETWEEN toDateTime64('2024-01-01 00:00:00', 3, 'UTC') AND toDateTime64('2049-12-31 00:00:00', 3, 'UTC'), toYYYYMM(UUIDv7ToDateTime(generation_id, 'UTC')), 0)
ORDER BY (app, toUInt128(generation_id), choice_index)
SETTINGS non_replicated_deduplication_window = 10000;
