"""The one count: every number that anybody is shown is asked here.

    definition.sql   what one suggestion comes to: merged outcome -> one flat row of `suggestions`
    derive           runs it for what landed, for a repair, or for everything
    scope            the question: which suggestions, of which time, cut by what
    measures         what is counted: one SQL aggregate over `suggestions` for each name
    hours            sums of hours, and of days, that nothing touches any more
    splitting        from which of these a question is answered, and from suggestions for the rest
    counting         a question to counts, from hours where they are known and from suggestions elsewhere
    rates            counts to rates with denominators, coverage and intervals; pure
    versions         what versions are compared by: counts by the hour, and by user
    conditions       what a suggestion of a list must be; pure
    candidates       which hours may hold such a one, by their sums
    listing          the suggestions behind a number: rows, newest or worst first, page after page
    cuts             trials and successes before and after, by every combination of labels
    latency          how long calls took
    queries          the typed answers that page, report, API and monitor take

**Invariant:** a suggestion counts at the time of its generation, in every answer.
**Invariant:** sums are of whole numbers and decimals, so no order of adding changes a digit.
"""
