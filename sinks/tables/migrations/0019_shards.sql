-- Which shard this database is, of how many; nothing where the store has none.

CREATE TABLE IF NOT EXISTS shard_place (
  number UInt16,
  shards UInt16,
  placed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY placed_at;

-- Each shard has marks of its own: one that is touched leaves what the others summed as it is.
ALTER TABLE hour_marks ADD COLUMN IF NOT EXISTS shard SimpleAggregateFunction(max, UInt16);
