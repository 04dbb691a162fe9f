"""Sending: from an encoded event to a broker's acknowledgement, whatever is down, with every event accounted for.

delivery  the sender; `exchange` is its talk with librdkafka, `kafka` the one door to it
backlog   what is not settled yet: `segments` in memory or in the `spool`, by `supply`
accounts  what became of each event; `stats` shows it
outlet    what takes encoded events: Kafka, or a test's list
"""
