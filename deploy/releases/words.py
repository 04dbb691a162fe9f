"""What is said of a release, wherever it is said: in the terminal and on the page."""

from datetime import datetime
from typing import Final

from keeprate.deploy.horizons import horizon_name
from keeprate.sinks.closed.batches import EDIT_DISTANCE_HORIZON_S
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.closed.signals import JUDGE

VERDICT: Final = {"worse": "worse", "better": "better", "same": "the same", "not_yet": "not yet"}
METHOD: Final = {"concurrent": "side by side", "successor": "before and after"}
"""How a difference was found: hour by hour of both, or against the predecessor's hours of the week before."""
_YEAR: Final = 365
_TENTHS_BELOW: Final = 1.95
_HOURS_UP_TO: Final = 2
"""Days; what takes longer is told in days."""
NAMES: Final = {
    "acceptance": "accepted",
    "flag": "flagged",
    "correction": "corrected",
    "negative": "negative",
    "generation_error": "failed",
    "latency_over_p95": "slow",
    "ttft_over_p95": "late to begin",
    "cost_over_p95": "dear",
    "edit_distance_over_p50": "changed more than usual",
    "edit_distance_over_p95": "changed far more than usual",
}
_CHANGED: Final = f"the text was changed within {horizon_name(EDIT_DISTANCE_HORIZON_S)} by"
_MEANINGS: Final = {
    "correction": "somebody sent what it should have been",
    "edit_distance_over_p50": f"{_CHANGED} more than half of the old one's were",
    "edit_distance_over_p95": f"{_CHANGED} more than 19 of 20 of the old one's were",
    "latency_over_p95": "slower than 19 of 20 of the old one's calls",
    "ttft_over_p95": "its first words came later than in 19 of 20 of the old one's calls",
    "cost_over_p95": "dearer than 19 of 20 of the old one's calls",
}
_VERBS: Final = {
    "negative": "gets negative feedback",
    "generation_error": "fails",
    "edit_distance_over_p50": "exceeds the usual change",
    "edit_distance_over_p95": "far exceeds the usual change",
}


def metric_name(found: KeptVerdict) -> str:
    """The metric: `kept 10 min`, `accepted`, `grounded as usual`."""
    if found.metric.startswith(JUDGE):
        return f"{found.metric.removeprefix(JUDGE)} as usual"
    return NAMES[found.metric] if found.metric in NAMES else f"kept {horizon_name(found.horizon_s)}"


def about(found: KeptVerdict) -> str:
    """What a metric's name means, where it could be taken for another one; '' elsewhere."""
    return _MEANINGS.get(found.metric, "")


def difference(found: KeptVerdict) -> str:
    """In points: `−30 pp (−35 to −25)`; '' where nothing is known."""
    said = between(found)
    return f"{points(found.difference or 0.0)} pp ({said})" if said else ""


def between(found: KeptVerdict) -> str:
    """The interval of the difference, in points: `−35 to −25`; '' where nothing is known."""
    if found.difference is None or found.low is None or found.high is None:
        return ""
    return f"{points(found.low)} to {points(found.high)}"


def points(share: float) -> str:
    """A difference of shares in points, with its sign: whole ones, and tenths where it is small."""
    value = 100 * share
    value = round(value, 1) if abs(value) < _TENTHS_BELOW else round(value)
    return f"{value:+g}".replace("-", "\N{MINUS SIGN}") if value else "0"


def why_open(found: KeptVerdict, metrics: int) -> str:
    """Why a verdict is open though the interval leaves out zero; '' where it does not. metrics: judged together."""
    if found.verdict != "not_yet" or found.low is None or found.high is None or found.low <= 0 <= found.high:
        return ""
    share = f"{max(found.fell, found.rose):.0%}".replace("%", " %")
    reason = f"{metrics} metrics share the error" if metrics > 1 else "it takes more than one interval"
    return f"{reason}: {share} of the evidence so far"


def sentence(found: KeptVerdict) -> str:
    """`v4 keeps 30 pp less than v3 after 10 min (−35 to −25)`; '' where nothing is known."""
    if found.difference is None or found.low is None or found.high is None:
        return ""
    is_kept = found.horizon_s > 0
    verb = "keeps" if is_kept else _verb(found.metric)
    more = "less" if found.difference < 0 else "more"
    after = f" after {horizon_name(found.horizon_s)}" if is_kept else ""
    size = points(abs(found.difference)).removeprefix("+")
    interval = f"({points(found.low)} to {points(found.high)})"
    return f"{found.version} {verb} {size} pp {more} than {found.predecessor}{after} {interval}"


def _verb(metric: str) -> str:
    if metric.startswith(JUDGE):
        return f"is judged as usual in {metric.removeprefix(JUDGE)}"
    return _VERBS.get(metric, f"is {NAMES.get(metric)}")


def short(found: KeptVerdict) -> str:
    """`accepted +8 pp (+3 to +13)`; '' where nothing is known."""
    name = metric_name(found).replace("kept ", "kept after ")
    return f"{name} {difference(found)}" if difference(found) else ""


def moment(at: datetime) -> str:
    """`15 Nov 12:53`."""
    return f"{at.day} {at:%b %H:%M}"


def time_left(days: float | None) -> str:
    """How long it takes: `now`, `3 h`, `12 d`, `> 1 y`; `never`."""
    if days is None:
        return "never"
    if days > _YEAR:
        return "> 1 y"
    return "now" if not days else f"{days:.0f} d" if days >= _HOURS_UP_TO else f"{max(1, round(24 * days))} h"
