-- What fell together is told together, also after a restart of the monitor.
ALTER TABLE drift_states ADD COLUMN IF NOT EXISTS cause LowCardinality(String)
  COMMENT 'the prompt under which its alarm is told; empty where it is in none'
