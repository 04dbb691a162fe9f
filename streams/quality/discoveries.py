"""Which of many series to report, so that of what is reported no more than a share is false. Pure.

Source: Wang and Ramdas, False discovery rate control with e-values (the e-BH procedure): under any dependence between
the series, the expected share of false ones among those chosen is at most alpha.
"""

from collections.abc import Hashable, Mapping
from math import exp, inf, log
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def e_value(log_r: float, batches: int) -> float:
    """What the detector's evidence R is worth at a fixed time: without a change its mean is the batches it has seen."""
    if log_r == -inf or batches <= 0:
        return 0.0
    return exp(min(log_r - log(batches), 700.0))


def discoveries(e_values: Mapping[Key, float], alpha: float) -> list[Key]:
    """Those to report, the strongest first: the k largest, each of which is at least M / (alpha k), for the largest k.

    e_values: of all M that were asked, not only of those that look changed. alpha: the share of false ones, above 0.
    """
    ordered = sorted(e_values, key=lambda key: -e_values[key])
    needed = len(ordered) / alpha
    enough = [k for k, key in enumerate(ordered, 1) if k * e_values[key] >= needed]
    return ordered[: enough[-1]] if enough else []
