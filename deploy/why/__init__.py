"""Why a rate fell or rose: the cuts that explain a difference, of a release or of two periods.

explaining  asks the counts of both sides, takes each cut apart, and ranks what explains most
words       what is said of it, in the terminal and on the page
drifted     the same of series that have drifted, from their closed batches
links       where on the page a difference is explained
terminal    what `keeprate why` prints

**Invariant:** the arithmetic is `streams.quality.decomposition`, the counts are `sinks.reading`: here they are put
together.
"""
