"""Landing: Kafka records into ClickHouse, exactly accounted, and the queries that read them.

Entry points, write side:
    `run`           a sink as a process, put together from settings
    `sink`          the member of a consumer group; `flush` is its protocol, `flights` runs several of them
    `rows`          from a record to a row, a reject or nothing: pure
    `verify`        does the store hold what Kafka held, and do outcomes say what facts say
    `replay`        outcomes from facts again; `recompute` is what it and `verify` share
    `forget`        a person taken out of the tables, and kept out of what lands
    `reconcile`     what each producer emitted, and where it ended
    `dead_letters`  what was refused, why, and what was done about it
    `migrate`       the tables (`migrations/`), brought up to this version
    `clickhouse`    the door to the store; `kafka` is the one to the broker

Read side: `reading` is the one count, `evidence` asks for what is behind it; `batches`, `baselines` and `watermarks`
hold what the monitor counted.

**Invariant:** an offset is committed past only when its record is a row, an acknowledged dead letter, or a tombstone.
**Invariant:** between the commit of an intent and that of its end, no other range of the partition is begun.
**Invariant:** nothing here imports producers, streams or deploy.
"""
