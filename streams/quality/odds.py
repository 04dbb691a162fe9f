"""Rates and their log odds."""

from math import exp, log


def logit(successes: float, trials: float) -> float:
    """Of counts, with half a success and half a failure more: there are none of which it is infinite."""
    return log((successes + 0.5) / (trials - successes + 0.5))


def rate_of(log_odds: float) -> float:
    """The rate that has these log odds."""
    return 1 / (1 + exp(-log_odds))


def variance_at(log_odds: float) -> float:
    """p (1 - p) of a rate."""
    rate = rate_of(log_odds)
    return rate * (1 - rate)
