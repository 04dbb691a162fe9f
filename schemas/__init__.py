"""The contracts: events, topics and the outcome, shared by every other package.

Entry points:
    `events`    what an app emits, a discriminated union of typed dicts
    `decode`    bytes of a Kafka record to an event, or the reason why not
    `outcome`   what is known of one suggestion: a join-semilattice, declared once
    `registers` what an outcome's registers hold, by name, declared once
    `lift`      an event to what it says of its suggestions
    `topics`    every topic with its partitions, key and retention
    `ids`       UUIDv7, and UUIDv5 for foreign ids

Invariant: nothing here does input or output, or imports another package of Keeprate.
Invariant: `outcome.merge` commutes, associates and is idempotent.
Invariant: a reader accepts every older schema version; an unknown newer one is refused whole.
"""
