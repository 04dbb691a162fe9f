"""Experts judge suggestions: what is put before them, who has which, what they say as events, and how well all agree.

settings       queues, labels, questions and the scales of judges, from a file or by default
picking        which suggestions a queue holds, in which order
choosing       which of them a reviewer is given: never more reviewers than asked for
book           who has what, in a file, for all pages of this machine
saying         what a reviewer says, as events, and what takes it back
sending        those events on their way to Kafka or a collector
coefficients   Cohen's kappa and Krippendorff's alpha, with intervals
reading        a queue's candidates, and who said what, from the store
agreeing       judges, users and experts against each other, over time
terminal       what `keeprate agreement` prints

**Invariant:** nothing here writes to the store. What a reviewer says gets there as every event does.
**Invariant:** `settings`, `picking`, `choosing`, `saying`, `coefficients` and `agreeing` are pure; time is an argument.
"""
