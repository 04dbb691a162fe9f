"""Has a rate changed, and is a release better or worse than what it replaced? Statistics on counts, pure.

detector     RA-MSR, with a stated number of days between false alarms
baseline     what it scores against: a level, a profile over the week, and how far to trust both
strata       parts of a series that have rates of their own
odds         rates and their log odds
detectable   what the detector can see at a traffic, and what it cannot
predecessor  which version a new one replaces
evidence     what windows of counts say for a fall or a rise, and the promise that goes with it
successor    a version that took over, against its predecessor's baseline
concurrent   two versions that share the traffic, against each other
verdict      worse, better, the same within a margin, or not yet; and how long that takes
causes       which series that have drifted are told together
discoveries  which of many series to report, so that few of the reports are false

**Invariant:** no clock, no store, no random number: the same counts give the same answer.
"""
