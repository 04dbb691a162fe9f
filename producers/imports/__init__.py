"""History that becomes events: a repository's commits, and files of events.

Entry points: `git.import_events` (a repository gives its events) and `events.read` (the lines of a file give events or
the reason why they are none). Neither sends anything.

**Invariant:** one input gives one series of events with the same ids, in every process, so that importing twice adds
nothing.
"""
