"""Releases judged: which there were, and what users make of each against what it replaced.

judging   finds the releases of a store and judges them, for the monitor and for the commands alike
words     what is said of a verdict, wherever it is said
terminal  what `keeprate releases` and `keeprate compare` print
"""
