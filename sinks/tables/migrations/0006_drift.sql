-- What the drift detector knows of each series after its last batch: enough to go on, and to say the same after a restart.

CREATE TABLE IF NOT EXISTS drift_states (
  app LowCardinality(String),
  prompt LowCardinality(String),
  prompt_version LowCardinality(String),
  model LowCardinality(String),
  metric LowCardinality(String),
  last_batch_at DateTime('UTC'),
  baseline_day DateTime('UTC') COMMENT 'the day for which the baseline in use was fitted',
  fell Array(Array(Float64)) COMMENT 'log R, CUSUM and the second since when it is above 0, by odds ratio',
  rose Array(Array(Float64))
)
ENGINE = ReplacingMergeTree(last_batch_at)
ORDER BY (app, prompt, prompt_version, model, metric)
SETTINGS non_replicated_deduplication_window = 10000;
