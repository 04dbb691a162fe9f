#!/bin/bash
# The user who only reads, made at the first start: docs/security.md.
set -euo pipefail
clickhouse-client --user "$CLICKHOUSE_USER" --password "$CLICKHOUSE_PASSWORD" --multiquery <<SQL
CREATE DATABASE IF NOT EXISTS keeprate;
CREATE USER IF NOT EXISTS keeprate_reader IDENTIFIED BY '${KEEPRATE_READER_PASSWORD//\'/\\\'}'
  SETTINGS readonly = 2, max_execution_time = 60, max_memory_usage = 4000000000;
GRANT SELECT ON keeprate.* TO keeprate_reader;
SQL
