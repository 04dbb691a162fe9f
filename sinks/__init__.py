"""Landing: Kafka records into ClickHouse, exactly accounted, and everything that is asked of what landed.

    landing/   the sink: from a record to a row, in ranges that are accounted for; `run` puts one together
    store/     the door to ClickHouse, and the tables, brought up to this version
    kafka/     the door to Kafka, and where it stands
    reading/   the one count: every number that anybody is shown
    closed/    closed batches, and what the drift detector and the rules read of them and keep
    checks/    does the store hold what Kafka held, do outcomes say what facts say, has every event an end
    upkeep/    what rewrites: replay, erasure, dead letters that are sent again

**Invariant:** an offset is committed past only when its record is a row, an acknowledged dead letter, or a tombstone.
**Invariant:** between the commit of an intent and that of its end, no other range of the partition is begun.
**Invariant:** nothing here imports producers, streams or deploy.
"""
