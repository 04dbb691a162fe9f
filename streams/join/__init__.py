"""The join: an event and the outcome so far come in, the outcome and what is to be written come out.

feedback_join  the steps; `expiry` says when an outcome may leave the state; both pure
judging        each record in a place of its own, so that one that raises is set aside alone
batches        what is worked on in one go
pipeline       a batch's way through the steps, and what a crash after each of them means
"""
