"""The stream processor: generations and feedback joined into outcomes, with Faust for the group and the recovery.

    join/      the steps of the join, pure, and a batch's way through them
    state/     the outcomes of each partition, in RocksDB or in memory, recovered from keeprate.outcomes
    quality/   the drift detector and its baseline, pure
    worker     the process: settings, logs, metrics, liveness; `app` is the composition root
    transport  Faust's Kafka transport with many records in one message; `records` reads any header's name
    delivery   writing to Kafka, every acknowledgement awaited
    crashes    at which records processes ended

Invariant: an offset is committed only when all that came of its record was acknowledged by the broker.
Invariant: nothing is incremented from events; a record that is read again changes nothing.
Invariant: no record ends the process. After a failure that concerns all of them nothing is acknowledged any more.
"""
