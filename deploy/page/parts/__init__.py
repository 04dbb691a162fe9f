"""Parts of the pages beside the first numbers, each with a request of its own.

why         the cuts that explain a difference, of a release or of two periods
verdicts    what became worse or better, in words, and the alarms with their estimated start
more        what users keep besides the key numbers: untouched, cost, votes, flags, latency
places      what groups are called, and which comes before which whatever the period
versions    versions, models and strategies side by side
arrival     did the first event arrive, and what became of it
health      what the monitor and the ledger know of the pipeline

**Invariant:** each is a question of a selection, and JSON as docs/page.md has it.
"""
