-- What somebody did about a refused record. The letter itself stays: it accounts for its offset.

CREATE TABLE IF NOT EXISTS dead_letter_actions (
  topic LowCardinality(String),
  partition UInt16,
  offset UInt64,
  recorded_at DateTime64(3, 'UTC') COMMENT 'of the refused record: a topic that was made anew counts from 0 again',
  action Enum8('replayed' = 1, 'dropped' = 2),
  note String,
  acted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(acted_at)
ORDER BY (topic, partition, offset, recorded_at);
