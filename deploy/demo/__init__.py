"""The demo: a seeded simulator of three apps, and what sends its events, first the past and then live.

Entry points: `simulate.simulate` (pure: a world and a span of time give the events in the order of their sending) and
`play.play` (sends them, paced by a clock that it is given). `story` holds every rate that the page will show.

**Invariant:** nothing here but `play` knows the time, and nothing at all is random beyond the seed: one world gives one
history, with the same ids, in every process. Starting twice therefore adds nothing.
**Invariant:** a higher rate only adds sessions; the sessions of the lower rate stay what they were.
**Invariant:** providers, models and customers are invented.
"""
