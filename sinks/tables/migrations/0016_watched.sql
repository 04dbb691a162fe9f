-- What is counted of a batch by language and strategy of context too: parts of a series that have rates of their own, and
-- cuts that an alert may name. Of batches from before neither is known.
ALTER TABLE quality_batches ADD COLUMN IF NOT EXISTS language LowCardinality(String),
  ADD COLUMN IF NOT EXISTS context_strategy LowCardinality(String),
  MODIFY ORDER BY
    (kind, source_app, batch_at, app, prompt, prompt_version, model, surface, outcome, language, context_strategy);

-- Where each series stands, for whoever asks: as of its last batch.
ALTER TABLE drift_states ADD COLUMN IF NOT EXISTS standing LowCardinality(String);
ALTER TABLE drift_states ADD COLUMN IF NOT EXISTS expected Nullable(Float64) COMMENT 'NULL while there is no baseline';
ALTER TABLE drift_states ADD COLUMN IF NOT EXISTS trials UInt64 COMMENT 'of the day before its last batch';
ALTER TABLE drift_states ADD COLUMN IF NOT EXISTS successes UInt64;
ALTER TABLE drift_states ADD COLUMN IF NOT EXISTS detectable Nullable(Float64)
  COMMENT 'the smallest change for the worse that is found within a day, as part of the rate; NULL for none';
