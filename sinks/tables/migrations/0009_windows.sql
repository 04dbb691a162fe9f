-- The counts of one app in five minutes, as far as one partition of the topics knows them: absolute, by segment.
-- A row replaces the one before as a whole; the higher version holds, and of equal ones the last. The columns are those
-- of schemas/window_record.py, and a record's bytes are its row.

CREATE TABLE IF NOT EXISTS windows (
  app LowCardinality(String),
  window_at DateTime('UTC'),
  partition UInt16,
  version UInt64,
  labels Array(LowCardinality(String)),
  max_segments UInt16,
  folded UInt32,
  segments Array(Tuple(environment String, surface String, model String, prompt_name String, prompt_version String, language String, opportunities Int64, generations_ok Int64, generations_error Int64, generations_timeout Int64, generations_refused Int64, generations_cancelled Int64, input_tokens Int64, output_tokens Int64, cost_known Int64, cost_nano_usd Int64, latency_known Int64, latency_ms Int64, latency_le_250_ms Int64, latency_le_500_ms Int64, latency_le_1000_ms Int64, latency_le_2000_ms Int64, latency_le_3000_ms Int64, latency_le_5000_ms Int64, latency_le_8000_ms Int64, latency_le_13000_ms Int64, latency_le_21000_ms Int64, latency_le_34000_ms Int64, latency_le_60000_ms Int64, latency_over Int64, first_token_known Int64, first_token_ms Int64, first_token_le_250_ms Int64, first_token_le_500_ms Int64, first_token_le_1000_ms Int64, first_token_le_2000_ms Int64, first_token_le_3000_ms Int64, first_token_le_5000_ms Int64, first_token_le_8000_ms Int64, first_token_le_13000_ms Int64, first_token_le_21000_ms Int64, first_token_le_34000_ms Int64, first_token_le_60000_ms Int64, first_token_over Int64, orphans Int64, shown_after_days Int64, accepted_after_days Int64, voted Int64, votes_positive Int64, votes_negative Int64, flagged Int64, negative Int64, corrected Int64, corrections Int64, correction_distances_known Int64, correction_distance_micro Int64, shown Int64, shown_read Int64, accepted Int64, accepted_full Int64, accepted_in_time Int64, auto_applied Int64, rejected Int64, ignored Int64, superseded Int64, unanswered Int64, undone Int64, orphan_accept Int64, used Int64, used_checked Int64, touchless Int64, accepted_length_known Int64, accepted_char Int64, shown_read_length_known Int64, shown_read_char Int64, accepted_full_shown_char Int64, shown_lines_known Int64, lines_suggested Int64, lines_accepted Int64, retainable Int64, zero_length Int64, horizons Array(Tuple(horizon_s UInt32, observed Int64, unchanged Int64, mostly Int64, removed Int64, unobserved Int64, late Int64, branch_changed Int64, lexemes_known Int64, still_in_code Int64, retained_char_known Int64, retained_char Int64, retained_char_weight Int64, edit_distance_le_0_pct Int64, edit_distance_le_5_pct Int64, edit_distance_le_10_pct Int64, edit_distance_le_20_pct Int64, edit_distance_le_33_pct Int64, edit_distance_le_50_pct Int64, edit_distance_le_75_pct Int64, edit_distance_le_100_pct Int64)), flags Array(Tuple(name String, count Int64)), actions Array(Tuple(name String, count Int64))))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_at)
ORDER BY (app, window_at, partition)
SETTINGS non_replicated_deduplication_window = 10000;
