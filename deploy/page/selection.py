"""What a request asks for: which suggestions, which period, cut by what. Pure; the time is an argument."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from keeprate.schemas.kinds import MAX_HORIZON_S, MAX_NAME
from keeprate.sinks.evidence import FEEDBACK_KINDS
from keeprate.sinks.reading.scope import Scope

Span = Literal["now", "before", "grouped", "over_time"]
"""Which part of time to count, and whether cut into groups: the last two are. `now` is `grouped`, pooled."""


class SelectionError(ValueError):
    """A request's parameter is not one of what is offered. Says which, and what would do."""


@dataclass(frozen=True)
class Period:
    """A span that ends now, and the length of a time bucket that cuts it into some dozens."""

    name: str
    title: str
    length: timedelta
    bucket_s: int


PERIODS: Final = {
    period.name: period
    for period in (
        Period("1h", "the last hour", timedelta(hours=1), 300),
        Period("6h", "the last 6 hours", timedelta(hours=6), 900),
        Period("24h", "the last 24 hours", timedelta(hours=24), 3600),
        Period("7d", "the last 7 days", timedelta(days=7), 6 * 3600),
        Period("30d", "the last 30 days", timedelta(days=30), 86_400),
        Period("90d", "the last 90 days", timedelta(days=90), 3 * 86_400),
    )
}
DIMENSIONS: Final = {
    "": "nothing",
    "prompt_version": "prompt version",
    "model": "model",
    "provider": "provider",
    "language": "language",
    "surface": "surface",
    "context_strategy": "context strategy",
    "prompt_name": "prompt",
    "operation": "operation",
    "step": "step",
    "experiment": "experiment",
    "variant": "variant",
    "app": "app",
    "environment": "environment",
}
METRICS: Final = ("acceptance_rate", "retention", "correction_rate", "negative_feedback_rate")
KINDS: Final = ("", *FEEDBACK_KINDS)
LEAST_KEPT_S: Final = 2.0
MOST_KEPT_S: Final = 60.0
NOBODY: Final = "?" * (MAX_NAME + 1)
"""Stands for every name that no event has: it is longer than any."""
_PARAMETERS: Final = ("app", "environment", "period", "by", "horizon", "metric", "kind")
_SHOWN_CHARS: Final = 60


@dataclass(frozen=True)
class Core:
    """The part of a selection that decides numbers."""

    app: str
    environment: str
    period: str
    dimensions: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """One view of the page. `by` and `kind` are '' for none; `app` and `environment` are '' for all.

    horizon_s: 0 for the one that fits what the apps check.
    """

    app: str = ""
    environment: str = ""
    period: str = "7d"
    by: str = "prompt_version"
    horizon_s: int = 0
    metric: str = "acceptance_rate"
    kind: str = ""

    @property
    def span(self) -> Period:
        return PERIODS[self.period]

    @property
    def only(self) -> dict[str, list[str]]:
        """The filters as a Scope has them."""
        chosen = {"app": self.app, "environment": self.environment}
        return {name: [value] for name, value in chosen.items() if value}

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What to cut by. Versions of different apps may share a name and have nothing else in common."""
        if not self.by:
            return ()
        return ("app", "prompt_version") if self.by == "prompt_version" and not self.app else (self.by,)

    def scope(self, span: Span, now: datetime) -> Scope:
        """What to count: the period, the one before as known now, or the period in buckets from a whole one on."""
        since, by = now - self.span.length, self.core(span).dimensions
        if span == "before":
            return Scope(since - self.span.length, since, now, by, self.only)
        if span != "over_time":
            return Scope(since, now, now, by, self.only)
        bucket_s = self.span.bucket_s
        start_s = since.timestamp() // bucket_s * bucket_s
        return Scope(datetime.fromtimestamp(start_s, now.tzinfo), now, now, by, self.only, bucket_s)

    def core(self, span: Span) -> Core:
        """What decides the numbers of a span. Selections that differ in the rest share them."""
        cut = span in ("grouped", "over_time")
        return Core(self.app, self.environment, self.period, self.dimensions if cut else ())

    def keep_s(self, span: Span) -> float:
        """How long numbers stay as good as new: a ten-thousandth of the period moves no digit that is shown."""
        slowly = span in ("before", "over_time")
        return min(MOST_KEPT_S, max(LEAST_KEPT_S, self.span.length.total_seconds() / (2000 if slowly else 10_000)))


def once(arguments: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The arguments of a request's query by name. Raises SelectionError for one that is there twice."""
    given: dict[str, str] = {}
    for name, value in arguments:
        if name in given:
            raise SelectionError(
                f"{_shown(name)} is there twice, as {_shown(given[name])} and {_shown(value)}: leave one"
            )
        given[name] = value
    return given


def parse(given: Mapping[str, str]) -> Selection:
    """The selection in a request's query. What is absent has its default; raises SelectionError."""
    if (unknown := next((name for name in given if name not in _PARAMETERS), None)) is not None:
        raise SelectionError(f"{_shown(unknown)} is no parameter; there are {', '.join(_PARAMETERS)}")
    return Selection(
        app=_name("app", given.get("app", "")),
        environment=_name("environment", given.get("environment", "")),
        period=_one_of("period", given.get("period", "7d"), PERIODS),
        by=_one_of("by", given.get("by", ""), DIMENSIONS),
        horizon_s=_horizon(given["horizon"]) if "horizon" in given else 0,
        metric=_one_of("metric", given.get("metric", "acceptance_rate"), METRICS),
        kind=_one_of("kind", given.get("kind", ""), KINDS),
    )


def _name(name: str, value: str) -> str:
    if len(value) > MAX_NAME:
        raise SelectionError(f"{name}: {_shown(value)} has {len(value)} characters; a name has {MAX_NAME} at most")
    return value


def _one_of(name: str, value: str, offered: Mapping[str, object] | tuple[str, ...]) -> str:
    if value not in offered:
        raise SelectionError(f"{name}: {_shown(value)} is not offered; choose from {', '.join(filter(None, offered))}")
    return value


def _horizon(text: str) -> int:
    # Leading zeros are no reason to read a number of any length.
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    if not digits or len(digits) > len(str(MAX_HORIZON_S)) or int(digits) > MAX_HORIZON_S:
        raise SelectionError(
            f"horizon: {_shown(text)} is not a number of seconds from 1 to {MAX_HORIZON_S}; 300 is five minutes"
        )
    return int(digits)


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS] + "…")
