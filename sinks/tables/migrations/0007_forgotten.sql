-- Who was forgotten: what tells their events, and the name that each gets instead. A user by the digest of their hash,
-- '' for every app; a session by the digest of app and session; a generation by its id, for events that name nobody.

CREATE TABLE IF NOT EXISTS forgotten (
  kind Enum8('user' = 1, 'session' = 2, 'generation' = 3),
  app String,
  key String,
  pseudonym String,
  person String COMMENT 'the digest of the user',
  forgotten_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (kind, app, key)
-- No topic keeps a record longer, and a generation is many keys.
TTL toDateTime(forgotten_at) + INTERVAL 90 DAY DELETE WHERE kind = 'generation';

-- What was done about it: rows rewritten, by table.

CREATE TABLE IF NOT EXISTS forget_receipts (
  receipt_id UUID,
  forgotten_at DateTime64(3, 'UTC'),
  person String COMMENT 'the digest of the user',
  app String,
  rows Map(String, UInt64),
  version String
)
ENGINE = MergeTree
ORDER BY (forgotten_at, receipt_id);
