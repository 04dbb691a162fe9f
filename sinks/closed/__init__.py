"""Closed batches: five minutes of an app, counted once they can change no more, and what is kept of them.

watermarks        how far an app's events have come
batches           counted by `reading`, and kept
baselines         the rates that rules expect
signals           what people and judges said
watched           the metrics that the detector watches
drift_states      what the detector reads, and the state of each series
released          how many of a version's calls failed, were slow or dear
release_verdicts  what was found of each release, as of what was closed
"""
