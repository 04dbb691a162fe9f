"""Counts to rates: numerator, denominator, coverage and interval of each. Pure.

An empty denominator gives None, never 0. What each rate means: docs/metrics.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

Z: Final = 1.959963984540054
"""Of the standard normal distribution: 95 % lie within ± z."""


@dataclass(frozen=True)
class Quotient:
    """What a rate is made of.

    covered, whole: the part of the population that is settled, observed or known.
    trials: what its interval rests on; None for what is no share.
    """

    numerator: float
    denominator: float
    covered: float
    whole: float
    trials: float | None

    @property
    def value(self) -> float | None:
        return self.numerator / self.denominator if self.denominator else None

    @property
    def coverage(self) -> float | None:
        return self.covered / self.whole if self.whole else None

    @property
    def interval(self) -> tuple[float, float] | tuple[None, None]:
        """Wilson's, at 95 %. A numerator above its denominator is of no share, and has none."""
        if not self.trials or not self.denominator or self.numerator > self.denominator:
            return None, None
        return wilson(self.numerator / self.denominator, self.trials)


def wilson(share: float, trials: float) -> tuple[float, float]:
    """The 95 % interval of a share that was seen in so many trials (Wilson, JASA 22, 1927)."""
    whole = 1 + Z**2 / trials
    centre = (share + Z**2 / 2 / trials) / whole
    half = Z / whole * sqrt(max(0.0, share * (1 - share)) / trials + Z**2 / 4 / trials**2)
    # The bounds are held around the share, because rounding may push them past it, or past 0 or 1.
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


Counts = Mapping[str, Any]
Rate = Callable[[Counts], Quotient]


def _share(numerator: str, denominator: str, covered: str, whole: str) -> Rate:
    """A share of counts: its trials are its denominator."""
    return lambda c: Quotient(c[numerator], c[denominator], c[covered], c[whole], c[denominator])


def _weighted(numerator: str, weight: str, squares: str, covered: str, whole: str, sent: str = "") -> Rate:
    """A share weighted by length: its trials are Kish's effective number, (Σw)² / Σw² (Survey Sampling, 1965, 11.7).

    sent: the count of those that sent the measure; without any there is no number.
    """

    def of(c: Counts) -> Quotient:
        denominator = c[weight] if not sent or c[sent] else 0
        trials = denominator**2 / c[squares] if c[squares] else None
        return Quotient(c[numerator], denominator, c[covered], c[whole], trials)

    return of


def _quotient(numerator: str, denominator: str, covered: str, whole: str, known: str = "") -> Rate:
    """A quotient that is no share. known: a count that must not be 0."""
    return lambda c: Quotient(c[numerator], c[denominator] if not known or c[known] else 0, c[covered], c[whole], None)


def _partial_accept(c: Counts) -> Quotient:
    accepted = c["accepted"]
    return Quotient(accepted - c["accepted_full"], accepted, accepted, accepted, accepted)


def _paper(c: Counts) -> Quotient:
    accepted = c["accepted"]
    return Quotient(accepted - c["substantially_changed"], accepted, c["observed"], accepted, accepted)


def _positive_votes(c: Counts) -> Quotient:
    votes = c["votes_positive"] + c["votes_negative"]
    return Quotient(c["votes_positive"], votes, c["voted"], c["displayed"], votes)


def _retained_characters(c: Counts) -> Quotient:
    return Quotient(c["retained_char"], int(c["retained_char_sent"] > 0), c["retained_char_known"], c["accepted"], None)


ACCEPTANCE: Final[Mapping[str, Rate]] = {
    "shown_rate": _share("shown", "opportunities", "opportunities_settled", "opportunities"),
    "acceptance_rate": _share("accepted", "shown", "shown_settled", "shown"),
    "car": _share("accepted_full", "shown_read", "shown_settled", "shown"),
    "wcar": _weighted(
        "accepted_full_shown_char",
        "shown_read_char",
        "shown_read_char_squares",
        "shown_read_length_known",
        "shown_read",
    ),
    "efficiency": _share("accepted", "opportunities", "opportunities_settled", "opportunities"),
    "partial_accept_share": _partial_accept,
    "acceptance_frequency": _quotient("accepted", "active_hours", "shown_user_known", "shown"),
    "contribution_speed": _quotient("accepted_char", "active_hours", "accepted_length_known", "accepted"),
    "loquaciousness": _quotient("shown", "active_hours", "shown_user_known", "shown"),
    "cpo": _quotient("accepted_char", "opportunities", "accepted_length_known", "accepted"),
    "line_acceptance_rate": _weighted(
        "lines_accepted", "lines_suggested", "lines_suggested_squares", "shown_lines_known", "shown"
    ),
    "dcpu": _quotient("accepted", "user_days", "shown_user_known", "shown"),
    "touchless_rate": _share("touchless", "used", "used_checked", "used"),
    "cost_per_accepted": _quotient("cost_usd", "accepted", "cost_known", "opportunities", "cost_known"),
    "commit_retention": _weighted(
        "long_term_retained_char",
        "long_term_inserted_char",
        "long_term_inserted_char_squares",
        "long_term_known",
        "retainable",
    ),
    "ai_share": _weighted(
        "long_term_model_char",
        "long_term_total_char",
        "long_term_total_char_squares",
        "long_term_total_known",
        "retainable",
    ),
}
"""Of the counts of suggestions."""

FEEDBACK: Final[Mapping[str, Rate]] = {
    "vote_rate": _share("voted", "displayed", "displayed", "displayed"),
    "positive_vote_share": _positive_votes,
    "flag_rate": _share("flagged", "displayed", "displayed", "displayed"),
    "correction_rate": _share("corrected", "accepted", "accepted", "accepted"),
    "correction_rate_shown": _share("corrected", "displayed", "displayed", "displayed"),
    "correction_distance": _share(
        "correction_distance_sum", "correction_distances_known", "correction_distances_known", "corrections"
    ),
    "negative_feedback_rate": _share("negative", "displayed", "displayed", "displayed"),
}
"""Of the counts of suggestions too."""

RETENTION: Final[Mapping[str, Rate]] = {
    "retention_coverage": _share("observed", "accepted", "observed", "accepted"),
    "persistence_rate": _share("unchanged", "accepted", "observed", "accepted"),
    "fuzzy_persistence_paper": _paper,
    "fuzzy_persistence_lower": _share("mostly", "accepted", "observed", "accepted"),
    "fuzzy_persistence_observed": _share("mostly", "observed", "observed", "accepted"),
    "persistence_observed": _share("unchanged", "observed", "observed", "accepted"),
    "efficiency": _share("unchanged", "opportunities", "observed", "accepted"),
    "persistence_frequency": _quotient("unchanged", "active_hours", "observed", "accepted"),
    "still_in_code": _share("still_in_code", "lexemes_known", "lexemes_known", "accepted"),
    "survival_four_gram": _weighted(
        "four_gram_char", "four_gram_weight", "four_gram_squares", "four_gram_known", "accepted", "four_gram_sent"
    ),
    "no_revert": _weighted("no_revert_char", "no_revert_weight", "no_revert_squares", "no_revert_known", "accepted"),
    "arc": _retained_characters,
    "arc_ratio": _weighted(
        "retained_char",
        "retained_char_weight",
        "retained_char_squares",
        "retained_char_known",
        "accepted",
        "retained_char_sent",
    ),
    "modification_pct": _share("modification_sum", "modification_known", "modification_known", "accepted"),
    "ai_share": _weighted("model_char", "total_char", "total_char_squares", "total_char_known", "accepted"),
    "cost_per_retained": _quotient("cost_usd", "mostly", "observed", "accepted", "cost_known"),
}
"""Of the counts at a horizon."""


class _Names(dict[str, int]):
    """Counts that are all 1, and remember which of them were looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __missing__(self, name: str) -> int:
        self.seen.add(name)
        return 1


def counts_of(rates: Mapping[str, Rate], metrics: tuple[str, ...]) -> set[str]:
    """The names of the counts that these rates are made of, so that a question reads no more than it needs."""
    names = _Names()
    for metric in metrics:
        rates[metric](names)
    return names.seen


LABELLED: Final = {"flag_rate": "flagged_by_label", "action_rate": "generations_by_action"}
"""Rates that each flag's label and each action has, and the counts that they are made of."""


def by_label(counts: Counts) -> list[tuple[str, str, Quotient]]:
    """The rates by label, of the counts that were asked: metric, label, quotient."""
    shown = counts["displayed"]
    return [
        (metric, label, Quotient(number, shown, shown, shown, shown))
        for metric, numbers in LABELLED.items()
        for label, number in sorted(counts.get(numbers, {}).items())
    ]


def judge(pairs: Mapping[tuple[str, str], int]) -> list[tuple[str, str, Quotient]]:
    """How an LLM judge agrees with people, of how often it said which label where people said which: metric, label,
    quotient. The label of nobody is ''.

    Cohen's kappa: (observed - expected agreement) / (1 - expected), both multiplied by pairs² (Educational and
    Psychological Measurement 20, 1960). Precision and recall are per label, one against the rest.
    """
    judged = sum(pairs.values())
    both = {(said, truth): number for (said, truth), number in pairs.items() if truth}
    total = sum(both.values())
    by_judge: dict[str, int] = {}
    by_people: dict[str, int] = {}
    for (said, truth), number in both.items():
        by_judge[said] = by_judge.get(said, 0) + number
        by_people[truth] = by_people.get(truth, 0) + number
    agreed = sum(number for (said, truth), number in both.items() if said == truth)
    expected = sum(number * by_people.get(label, 0) for label, number in by_judge.items())
    found = [
        ("judge_agreement", "", Quotient(agreed, total, total, judged, total)),
        ("judge_kappa", "", Quotient(agreed * total - expected, total * total - expected, total, judged, None)),
    ]
    for metric, of in (("judge_precision", by_judge), ("judge_recall", by_people)):
        for label, number in sorted(of.items()):
            found.append((metric, label, Quotient(both.get((label, label), 0), number, total, judged, number)))
    return found
