"""ClickHouse: the one door to it (`clickhouse`), how long to wait for it (`retry`), this machine's own (`local_store`).

Nothing here knows what the tables are for.
"""
