"""The benchmarks: `make bench`, or `make bench ONLY=join,sink` for some of them.

Each `bench_<name>.py` has

    NAMES             what it measures, by the name under which the result is filed
    measure(bench)    the results one by one, as they come to be known

and `run.py` finds them, tells of their progress, and files what they found in `.bench/results.json`.

**Invariant:** a number is the median of several runs, with the least and the greatest; it is never a best run.
**Invariant:** what is compared with each other is measured in one run, on one machine, one contender at a time.
"""
