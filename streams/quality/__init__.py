"""Has a rate changed? Statistics on counts of closed batches, pure: no clock, no store, no Prometheus.

detector  RA-MSR, with a stated number of days between false alarms
baseline  what it scores against: a level, a profile over the week, and how far to trust both
strata    parts of a series that have rates of their own
odds      rates and their log odds
"""
