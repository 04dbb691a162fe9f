"""Kappa and alpha are those of the published examples, and their intervals hold as often as they say."""

import random
from collections import Counter

import pytest

from keeprate.deploy.review.coefficients import Agreeing, Unit, alpha, kappa, share

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): A is binary, B nominal, C has gaps.
EXAMPLE_A = ("0100000010", "1110010000")
EXAMPLE_B = ("aabbdcccedda", "babbbccceddd")
EXAMPLE_C = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def units(*raters: str) -> Counter[Unit]:
    """Of each rater's labels in a row, a point where there is none."""
    found: Counter[Unit] = Counter()
    for labels in zip(*raters, strict=True):
        found[tuple(sorted(Counter(each for each in labels if each != ".").items()))] += 1
    return found


@pytest.mark.parametrize(
    ("raters", "value"),
    [
        (EXAMPLE_A, 0.095),
        (EXAMPLE_B, 0.692),
        (EXAMPLE_C, 0.743),
    ],
    ids=["two raters, two labels", "two raters, five labels", "four raters, with gaps"],
)
def test_alpha_is_the_published_one(raters: tuple[str, ...], value: float) -> None:
    """The three worked examples for nominal data."""
    assert alpha(units(*raters)).value == pytest.approx(value, abs=0.0006)


def test_kappa_is_the_published_one() -> None:
    """Fleiss, Statistical Methods for Rates and Proportions: two raters, three diagnoses, 100 patients."""
    table = {("p", "p"): 75, ("p", "n"): 1, ("p", "o"): 4, ("n", "p"): 5, ("n", "n"): 4, ("n", "o"): 1, ("o", "o"): 10}
    found = kappa(table)
    assert found.value == pytest.approx(0.68, abs=0.005)
    assert found.low is not None
    assert found.high is not None
    assert (found.low, found.high) == pytest.approx((0.676 - 1.96 * 0.087, 0.676 + 1.96 * 0.087), abs=0.003)


def test_kappa_of_two_readers_of_applications() -> None:
    """The example that most textbooks have: 50 applications, kappa 0.4."""
    assert kappa({("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}).value == pytest.approx(0.4)


def test_a_few_that_agree_in_everything_are_no_certainty() -> None:
    """Three suggestions without a disagreement say little: the interval is wide."""
    for found in (kappa({("good", "good"): 2, ("bad", "bad"): 1}), alpha(units("ggb", "ggb"))):
        assert found.value == pytest.approx(1)
        assert found.high == 1
        assert found.low is not None
        assert found.low < 0.2


def test_what_cannot_be_told_from_chance_is_no_number() -> None:
    """Where everything has one label, or nothing is there, there is no coefficient."""
    assert kappa({("good", "good"): 9}) == Agreeing(None, None, None, 9)
    assert alpha(units("ggg", "ggg")).value is None
    assert kappa({}) == alpha({}) == share(0, 0) == Agreeing(None, None, None, 0)
    # A single label at a suggestion compares with nothing.
    assert alpha(units("g.b", ".g.")).items == 0


def test_intervals_hold_about_as_often_as_they_say() -> None:
    """Of 300 samples of 80 suggestions from one world, at least nine in ten intervals hold its true coefficient."""
    rng = random.Random(7)
    # Both are right in 85 of 100, independently; 40 of 100 are bad.
    right, bad = 0.85, 0.4
    said_bad = bad * right + (1 - bad) * (1 - right)
    agreed = right**2 + (1 - right) ** 2
    expected = said_bad**2 + (1 - said_bad) ** 2
    true = (agreed - expected) / (1 - expected)
    held = {"kappa": 0, "alpha": 0}
    for _ in range(300):
        pairs: Counter[tuple[str, str]] = Counter()
        for _ in range(80):
            is_bad = rng.random() < bad
            a, b = ("b" if (rng.random() < right) == is_bad else "g" for _ in range(2))
            pairs[a, b] += 1
        of_units: Counter[Unit] = Counter()
        for (a, b), number in pairs.items():
            of_units[tuple(sorted(Counter((a, b)).items()))] += number
        for name, found in (("kappa", kappa(pairs)), ("alpha", alpha(of_units))):
            assert found.low is not None
            assert found.high is not None
            held[name] += found.low <= true <= found.high
    assert all(number >= 270 for number in held.values()), held


def test_a_rater_who_always_says_the_same_is_no_certainty_either() -> None:
    """Kappa is 0 by its making then, whatever the other one says: ten suggestions do not show that it is 0."""
    for other in range(1, 10):
        found = kappa({("good", "good"): other, ("good", "bad"): 10 - other})
        assert found.value == pytest.approx(0)
        assert found.low is not None
        assert found.high is not None
        assert found.low < -0.05
        assert found.high > 0.05
