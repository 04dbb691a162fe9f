"""What each number on the page means, in plain words. METRICS has the same definitions for engineers."""

from dataclasses import dataclass
from typing import Final, Literal

View = Literal["rates", "retention_rates", "feedback_rates"]


@dataclass(frozen=True)
class Definition:
    """A term of the page. `short` is its name where there is little room."""

    title: str
    short: str
    meaning: str
    formula: str = ""


@dataclass(frozen=True)
class ShownRate:
    """A rate that the page shows. `of` names its denominator; `better` is the direction that users mean by better."""

    query: View
    name: str
    of: str
    better: Literal["higher", "lower"]


METRICS: Final = {
    "acceptance_rate": ShownRate("rates", "acceptance_rate", "shown", "higher"),
    "retention": ShownRate("retention_rates", "fuzzy_persistence_observed", "observed", "higher"),
    "correction_rate": ShownRate("feedback_rates", "correction_rate", "accepted", "lower"),
    "negative_feedback_rate": ShownRate("feedback_rates", "negative_feedback_rate", "shown", "lower"),
}

VARIANTS: Final = {
    "observed": (
        "fuzzy_persistence_observed",
        "of the observed",
        "Of those that were observed, the share that is mostly still there.",
    ),
    "lower": (
        "fuzzy_persistence_lower",
        "at worst",
        "Of all that are old enough; one that was not observed counts as changed, so the truth is no lower.",
    ),
    "paper": (
        "fuzzy_persistence_paper",
        "at best",
        "Of all that are old enough; one that was not observed counts as kept, as in Ziegler et al. 2022.",
    ),
}
"""How a suggestion counts that was not observed: the metric, its name for people, and what it means."""

DEFINITIONS: Final = {
    "acceptance_rate": Definition(
        "Acceptance rate",
        "accepted",
        "Of the suggestions that users saw, the share that they took, in full or in part.",
        "accepted / shown",
    ),
    "retention": Definition(
        "Kept",
        "kept",
        "Of the accepted suggestions that were observed, that is looked at again after the chosen time, the share that "
        "is mostly still there: less than a third of the characters changed. Coverage is the share of those old enough "
        "that was observed.",
        "kept / observed",
    ),
    "correction_rate": Definition(
        "Correction rate",
        "corrected",
        "Of the accepted suggestions, the share for which somebody sent a correction: what it should have been.",
        "with a correction / accepted",
    ),
    "negative_feedback_rate": Definition(
        "Negative feedback",
        "negative",
        "Of the suggestions that users saw, the share with a vote down or a negative flag that still stands. A vote "
        "that was changed or a flag that was taken back counts as its latest state.",
        "with a negative vote or flag / shown",
    ),
    "releases": Definition(
        "Releases",
        "releases",
        "Versions, models and context strategies that replaced another within 28 days, each against that one, "
        "since it was released. In brackets is the interval of the difference; it holds however often you look. All "
        "metrics and horizons: keeprate releases.",
    ),
    "judged": Definition(
        "Releases in every metric",
        "judged",
        "Each release against what it replaced, since it was released: side by side is hour by hour, where both had "
        "traffic; before and after is against the old one's hours of the week. So a difference is not just new minus "
        "old. Its interval holds at 95 % however often you look; a verdict takes more, because all metrics share one "
        "error. The last column is how long it takes until a version a tenth worse would be seen.",
    ),
    "prompts": Definition(
        "What the prompt says",
        "prompts",
        "The text of a prompt's version and of the one that it replaced, word by word: what is gone is struck out, "
        "what is new is underlined.",
    ),
    "funnels": Definition(
        "From request to kept",
        "funnels",
        "For each of them: requests, shown, accepted, and mostly still there after the chosen time. Bars are shares of "
        "the requests.",
    ),
    "multiples": Definition(
        "Part by part",
        "parts",
        "The same rate in each part of the traffic, on one scale. The dark stripe is the 95 % interval: where two of "
        "them overlap widely, the difference may be chance.",
    ),
    "queues": Definition(
        "Queues",
        "queues",
        "Suggestions that wait for experts. Each wants a number of reviewers; what you are given is yours alone until "
        "the reservation ends, and nobody is given what has all its reviewers.",
    ),
    "agreement": Definition(
        "Agreement",
        "agreement",
        "What judges, users and experts say of the same suggestions, each as good or bad, and what users kept. Kappa "
        "and alpha are agreement beyond chance: 1 is all of it, 0 is what chance would give.",
        "kappa = (agreed - expected) / (1 - expected)",
    ),
    "accounts": Definition(
        "What became of every record",
        "accounts",
        "Of each topic: records that became rows, that are dead letters, and that were filtered. The ledger's ranges "
        "must follow each other without a gap and count every offset.",
    ),
    "drift": Definition(
        "What is watched",
        "drift",
        "Every series of closed batches, and how much speaks for a change in it: an alarm at 100 %. From a tenth on it "
        "is suspected, and its baseline learns no more.",
    ),
    "alerts": Definition(
        "Firing now",
        "alerts",
        "Alerts of Keeprate's rules that the Alertmanager holds now, the gravest first: of what users keep, and of the "
        "pipeline. An alert is raised after what it tells of began, which its text names where it is known. It is what "
        "keeprate alerts list prints.",
    ),
    "alarms": Definition(
        "Drift alarms",
        "alarms",
        "Series whose rate has left what its own past expects, each with the time at which that probably began. One "
        "series raises a false alarm about once in a thousand days.",
    ),
    "touchless_rate": Definition(
        "Used untouched",
        "untouched",
        "Of the suggestions that were used, the share that nobody edited, took back or changed later.",
        "untouched / used",
    ),
    "positive_vote_share": Definition(
        "Votes up", "votes", "Of the votes, each user's latest, the share that is up.", "positive / votes"
    ),
    "flag_rate": Definition(
        "Flagged",
        "flagged",
        "Of the suggestions that users saw, the share with a flag that still stands.",
        "flagged / shown",
    ),
    "cost_per_kept": Definition(
        "Cost of a kept one",
        "cost",
        "What all requests cost, for each suggestion that is kept at the chosen time. The interval is that of the "
        "share that is kept; what requests cost is taken as known.",
        "cost of all requests / kept",
    ),
    "latency_p50": Definition("Latency, median", "median", "Half of the requests took no longer."),
    "latency_p95": Definition(
        "Latency, 95th percentile", "p95", "Nineteen of twenty requests took no longer; one of twenty did."
    ),
    "reasons": Definition(
        "What explains it",
        "reasons",
        "A cut explains a difference in two ways: with other shares, as when there is more of a language that is kept "
        "less, or with one value that moved more than the rest did. The first line is what explains most for certain.",
    ),
    "retention_curve": Definition(
        "Kept, by the time since the accept",
        "retention",
        "How much of what users accepted is mostly still there, by the time since they accepted it. The bars on the "
        "points are 95 % intervals. With a single line, the shade is what the unobserved ones could make of it.",
    ),
    "funnel": Definition(
        "From request to kept",
        "funnel",
        "What became of the requests: shown to a user, accepted, and mostly still there after the chosen time. What "
        "was not observed is drawn as unknown, not as lost.",
    ),
    "opportunities": Definition(
        "Requests", "requests", "Calls of the model, whether or not anything was shown. A chat turn is one."
    ),
    "shown": Definition("Shown", "shown", "Suggestions that were displayed to a user, for however short a time."),
    "accepted": Definition("Accepted", "accepted", "Suggestions that a user took, in full or in part."),
    "retained": Definition(
        "Kept", "kept", "Accepted suggestions, or ones that an agent applied by itself, after the chosen time."
    ),
    "compare": Definition(
        "Group by group",
        "compare",
        "The same numbers for each group. The dark stripe on a bar is the 95 % interval: where two of them overlap "
        "widely, the difference may be chance. Bars of one column share a scale.",
    ),
    "latest_feedback": Definition(
        "Latest flags, votes and corrections",
        "feedback",
        "What users said, the newest first, by their own clock. A row opens the suggestion with everything that "
        "happened to it.",
    ),
    "freshness": Definition(
        "Newest event", "newest", "How long ago the newest event happened that has reached the store."
    ),
    "events_per_min": Definition("Events per minute", "events/min", "Events that landed within the last minute."),
    "lag": Definition(
        "Lag",
        "lag",
        "How long records take from Kafka into the store: the median of the last quarter of an hour, of the slower "
        "topic. Imported history does not count.",
    ),
    "orphans": Definition(
        "Orphans",
        "orphans",
        "Suggestions with feedback whose generation has not arrived, of the chosen apps and period. They are held and "
        "counted, are in no rate, and join by themselves when the generation comes.",
    ),
    "dead_letters": Definition(
        "Dead letters",
        "dead letters",
        "Records that were refused because they are not valid events. They are kept whole, with the reason, and can be "
        "replayed after a fix.",
    ),
}
