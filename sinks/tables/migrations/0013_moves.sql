-- Versions of suggestions that a newer one took out of their hour: an orphan that was joined, an accept that came again.
-- Until they merge, they stand in granules that an index by hour shows without the newer one.

CREATE TABLE IF NOT EXISTS moves (
  app LowCardinality(String),
  hour UInt32,
  generation_id UUID,
  choice_index UInt16,
  derived_at Int64 COMMENT 'of the version that is left'
)
ENGINE = ReplacingMergeTree
ORDER BY (hour, app, toUInt128(generation_id), choice_index, derived_at)
SETTINGS non_replicated_deduplication_window = 10000;
