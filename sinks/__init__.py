"""Landing: Kafka records into ClickHouse, exactly accounted, and everything that is asked of what landed.

    checks/    does the store hold what Kafka held, do outcomes say what facts say, has every event an end
    upkeep/    outcomes from facts again
    landing/   the sink: from a record to a row, in ranges that are accounted for; `run` puts one together
    closed/    closed batches, and what the drift detector and the rules read of them and keep
    tables/    migrations: the tables, brought up to this version
    facts/     single facts: what users said last, one generation's story, orphans, dead letters
    erasure/   a person taken out of the tables, and kept out of what lands
    reading/   the one count: every number that anybody is shown
    store/     the door to ClickHouse
    kafka/     the door to Kafka, and where it stands

**Invariant:** an offset is committed past only when its record is a row, an acknowledged dead letter, or a tombstone.
**Invariant:** between the commit of an intent and that of its end, no other range of the partition is begun.
**Invariant:** a folder imports none that stands above it here; nothing imports producers, streams or deploy.
"""
