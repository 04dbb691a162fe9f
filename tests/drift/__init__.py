"""What the drift detector is worth: simulated worlds, the shipped detector in them, its rivals (`make drift-bench`).

`worlds` makes counts, `ours` scores many replicates at once with the shipped baseline, `rivals` does the same for other
detectors, `measures` counts alarms and delays, `targets` says what is promised, `run` prints it.

**Invariant:** nothing here decides what the detector does: `ours` is tested to equal the shipped one window by window.
"""
