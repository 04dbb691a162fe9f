-- What is known of a release: one version of an app's prompt, model or strategy of context against the one it replaces,
-- in one metric. Judged again as events come; the row of the latest judgement counts.

CREATE TABLE IF NOT EXISTS release_verdicts (
  app LowCardinality(String),
  component LowCardinality(String) COMMENT 'prompt_version, model or context_strategy',
  family LowCardinality(String) COMMENT 'the prompt of a version, the surface of a model',
  version LowCardinality(String),
  predecessor LowCardinality(String),
  released_at DateTime64(3, 'UTC') COMMENT 'when its first generation occurred',
  metric LowCardinality(String),
  horizon_s UInt32,
  method LowCardinality(String) COMMENT 'successor: before and after; concurrent: side by side',
  new_trials UInt64,
  new_successes UInt64,
  old_trials UInt64,
  old_successes UInt64,
  difference Nullable(Float64) COMMENT 'new minus old; low and high hold it at 95 %, however often it is looked at',
  low Nullable(Float64),
  high Nullable(Float64),
  fell Float64 COMMENT 'evidence against its threshold: 1 is enough',
  rose Float64,
  p_value Float64,
  verdict LowCardinality(String),
  found_at Nullable(DateTime('UTC')),
  days_left Nullable(Float64) COMMENT 'until a version a tenth worse would be seen; NULL for never',
  as_of DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(as_of)
ORDER BY (app, component, family, version, metric, horizon_s)
SETTINGS non_replicated_deduplication_window = 10000;
