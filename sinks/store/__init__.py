"""ClickHouse: the one door to it (`clickhouse`), how long to wait for it (`retry`), this machine's own (`local_store`).

How servers share the rows, and what statements read like there: `topology`; the servers that do: `servers`.

Nothing here knows what the tables are for, but for which of them are divided.
"""
