-- A refused record, once, whoever wrote its letter how often: topic, partition, offset say where the record was,
-- letter_partition and letter_offset where its letter is in keeprate.dead-letters.

CREATE TABLE IF NOT EXISTS dead_letters (
  topic LowCardinality(String),
  partition UInt16,
  offset UInt64,
  stage LowCardinality(String),
  error_type LowCardinality(String),
  field String,
  reason String,
  key Nullable(String),
  value Nullable(String) CODEC(ZSTD(3)),
  headers Array(Tuple(name String, value Nullable(String))),
  recorded_at DateTime64(3, 'UTC') COMMENT 'of the refused record, by Kafka',
  letter_partition UInt16,
  letter_offset UInt64,
  refused_at DateTime64(3, 'UTC') COMMENT 'of the letter, by Kafka',
  stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, recorded_at, stage)
SETTINGS non_replicated_deduplication_window = 10000;

-- What became of each range of offsets: rows + dead_letters + filtered + absent = last_offset - first_offset + 1.
-- absent: offsets that the topic no longer holds, because it was compacted, or that a transaction's marker took.

CREATE TABLE IF NOT EXISTS ledger (
  sink LowCardinality(String),
  topic LowCardinality(String),
  partition UInt16,
  first_offset UInt64,
  last_offset UInt64,
  rows UInt64,
  dead_letters UInt64,
  filtered UInt64,
  absent UInt64,
  schema_revision UInt32,
  stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (sink, topic, partition, first_offset, last_offset)
SETTINGS non_replicated_deduplication_window = 10000;
