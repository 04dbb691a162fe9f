"""The stream processor: generations and feedback joined into outcomes, with Faust for the group and the recovery.

Entry points:
    `worker`          the process: settings, logs, metrics, liveness
    `app`             the composition root
    `pipeline`        a batch's way through the steps, and what a crash after each step means
    `feedback_join`   the steps themselves, pure; `changelog` and `expiry` are pure too
    `judging`         each record in a place of its own; `crashes` knows at which ones processes ended
    `transport`       Faust's Kafka transport with many records in one message; `records` reads any header's name
    `table`, `state`  the outcomes of each partition, in RocksDB or in memory, recovered from keeprate.outcomes
    `delivery`        writing to Kafka, every acknowledgement awaited

Invariant: an offset is committed only when all that came of its record was acknowledged by the broker.
Invariant: nothing is incremented from events; a record that is read again changes nothing.
Invariant: no record ends the process. After a failure that concerns all of them nothing is acknowledged any more.
"""
