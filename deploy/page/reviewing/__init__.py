"""The page on which experts review: its questions, and what they say. What is said leaves as events (`deploy/review`).

desk      what a reviewer asks and says, in a thread
routes    the same over HTTP
who       who the reviewer is
"""
