-- What users did with the suggestions of one app in five minutes, counted once those five minutes can change no more.
-- A row is written when its batch closes and is not changed afterwards: later facts change `outcomes`, not this.
-- source_app is the app itself; app and the labels after it may read 'other', where there are too many values.
-- The row with outcome 'closed' says up to when (batch_at) batches of this kind and app are closed.

CREATE TABLE IF NOT EXISTS quality_batches (
  kind LowCardinality(String),
  source_app LowCardinality(String),
  batch_at DateTime('UTC'),
  app LowCardinality(String),
  prompt LowCardinality(String),
  prompt_version LowCardinality(String),
  model LowCardinality(String),
  surface LowCardinality(String),
  outcome LowCardinality(String),
  count UInt64,
  total Float64
)
ENGINE = ReplacingMergeTree
ORDER BY (kind, source_app, batch_at, app, prompt, prompt_version, model, surface, outcome)
SETTINGS non_replicated_deduplication_window = 10000;

-- The rate to expect, from the batches of 28 days that ended a day before. inherited: that of the prompt's other
-- versions and models, for a series that is too young for a rate of its own.

CREATE TABLE IF NOT EXISTS quality_baselines (
  app LowCardinality(String),
  prompt LowCardinality(String),
  prompt_version LowCardinality(String),
  model LowCardinality(String),
  metric LowCardinality(String),
  ratio Float64,
  events UInt64,
  inherited Bool,
  computed_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(computed_at)
ORDER BY (app, prompt, prompt_version, model, metric)
SETTINGS non_replicated_deduplication_window = 10000;
