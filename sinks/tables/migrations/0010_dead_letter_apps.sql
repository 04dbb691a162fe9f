-- Whose record it is, and of one that was set aside: a hash of where the code raised, and what the letter lacks.
-- A letter from before names its app where its bytes do.

ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS app LowCardinality(String)
  DEFAULT extract(ifNull(value, ''), '"app"\\s*:\\s*"([A-Za-z0-9][A-Za-z0-9._-]{0,99})"') AFTER reason;
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS trace String COMMENT 'equal for one fault' AFTER app;
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS cut String COMMENT 'empty where key, value and headers are whole' AFTER trace;
