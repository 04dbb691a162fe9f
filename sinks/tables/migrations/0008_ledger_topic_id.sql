-- A topic that is deleted and made anew counts from 0 again under the same name. Kafka's id tells the two apart.

ALTER TABLE ledger ADD COLUMN IF NOT EXISTS topic_id LowCardinality(String) DEFAULT ''
  COMMENT 'Kafka''s id of the topic, empty where it has none';
