"""The exporter: what users keep, as counters and gauges for Prometheus, with the rules that watch them.

Entry points:
    `catalogue`  every metric once: name, kind, labels, meaning, remedy
    `closing`    closes the batches that are complete, and folds their labels
    `totals`     the counters: sums over closed batches
    `expected`   the rates to expect
    `drifting`   the drift detector at work
    `releasing`  judges every release against what it replaced
    `verifying`  verifies the recent past, now and then
    `exporter`   reads in the background and answers scrapes from what was read last

Invariant: a scrape asks neither the store nor Kafka.
Invariant: a counter is a sum of closed batches, so it never goes back, restarts included.
"""

from importlib.resources import files


def configuration() -> str:
    """The directory of Prometheus's and Alertmanager's configuration, the rules among it."""
    return str(files("keeprate.deploy").joinpath("prometheus"))
