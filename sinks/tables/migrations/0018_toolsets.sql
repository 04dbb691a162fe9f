-- The set of functions that a model could call, by which numbers can be cut: in the outcome a register of its own, because
-- a column of the generation's would change what outcomes in Kafka are.

ALTER TABLE outcomes ADD COLUMN IF NOT EXISTS
  tools SimpleAggregateFunction(max, Tuple(revision UInt32, occurred_at Int64, event_id String, toolset String));

ALTER TABLE suggestions ADD COLUMN IF NOT EXISTS toolset LowCardinality(String) AFTER variant;
