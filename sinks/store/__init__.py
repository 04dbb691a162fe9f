"""ClickHouse: the one door to it (`clickhouse`), its failures by reaction (`retry`, `births`), its tables (`migrate`).

Nothing here knows what the tables are for.
"""
