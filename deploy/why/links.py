"""Addresses on the page where a difference is explained: what an alert or a digest leads to. Pure."""

from typing import Final
from urllib.parse import urlencode

from keeprate.sinks.closed.batches import RETENTION
from keeprate.sinks.closed.drift_states import Series
from keeprate.sinks.closed.release_verdicts import KeptVerdict

EXPLAINED: Final = {
    "acceptance": "acceptance_rate",
    "retention": "retention",
    "correction": "correction_rate",
    "negative": "negative_feedback_rate",
}
"""The metrics of drift and of releases that the page explains, by their names there."""
_UNNAMED: Final = ("unknown", "other")
"""What stands for many values in a series, and is no value of an event."""
_PERIODS: Final = (("release", "periods"), ("period", "24h"))


def release_key(kept: KeptVerdict) -> str:
    """The name of a release in an address."""
    return "/".join((kept.app, kept.component, kept.family, kept.version))


def of_release(kept: KeptVerdict) -> str:
    """Where a verdict is explained: `why?app=…&release=…`."""
    query = {"app": kept.app, "release": release_key(kept)} | _metric(kept.metric, kept.horizon_s)
    return f"why?{urlencode(query)}"


def of_series(series: Series) -> str:
    """Where a drift is explained, the last day against the one before; for other metrics, where the versions stand."""
    app, *values, metric = series
    names = ("prompt_name", "prompt_version", "model")
    only = [("only", f"{name}={value}") for name, value in zip(names, values, strict=True) if value not in _UNNAMED]
    kind, _, horizon = metric.partition("_")
    if kind not in EXPLAINED:
        return f"?{urlencode([('app', app), *only, ('by', 'model')])}"
    chosen = _metric(kind, int(horizon) if metric.startswith(RETENTION) else 0)
    return f"why?{urlencode([('app', app), *only, *chosen.items(), *_PERIODS])}"


def _metric(metric: str, horizon_s: int) -> dict[str, str | int]:
    name = EXPLAINED.get(metric)
    return ({"metric": name} if name else {}) | ({"horizon": horizon_s} if horizon_s else {})
