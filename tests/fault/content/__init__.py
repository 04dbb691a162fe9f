"""Faults of content: records that no process may end by, and whose neighbours' numbers they may not change.

    values    numbers, times, ids, texts and structures at and beyond every bound, as JSON that no library would write
    grammar   a seed -> events of the contract, mutated; and what else stands in the source topics
    junk      a seed -> records of the topics that only Keeprate writes, none of them readable
    requests  a seed -> what a client sends the collector: JSON, lines and OTLP
    named     reproductions: what once ended or blinded the pipeline, by name
    wire      record batches built by hand, for records that no client would write
    innocent  the workload of an app that does nothing wrong, and what the store must say of it
    trial     topics, a worker, a sink and a collector of a trial's own, and the account at the end
    cells     the rows of `make fault`

**Invariant:** values, grammar, junk, requests and named are pure: the same seed gives the same records.
"""
