"""Sending: from an encoded event to an acknowledgement, whatever is down, with every event accounted for.

delivery  the sender; its `exchange` is with Kafka (`kafka_exchange`, `kafka` is the one door to librdkafka) or with a
          collector (`https_exchange`, `https`, and `verdicts` on its answers); `routes` says which
backlog   what is not settled yet: `segments` in memory or in the `spool`, by `supply`
accounts  what became of each event; `stats` shows it
outlet    what takes encoded events: the delivery, or a test's list
"""
