"""The state of the join: one store of outcomes for each partition, complete up to an offset of its changelog.

table      what Faust sees: assignment and recovery; `recovery` tells how far that is
partition  the outcomes of one partition; `sweep` walks through them for what has expired
changelog  from records of the changelog to a state; pure
"""
