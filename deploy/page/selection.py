"""What a request asks for: which suggestions, which period, cut by what. Pure; the time is an argument."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from keeprate.schemas.kinds import MAX_HORIZON_S, MAX_NAME
from keeprate.sinks.facts.said import FEEDBACK_KINDS
from keeprate.sinks.reading import scope
from keeprate.sinks.reading.scope import Scope

Span = Literal["now", "before", "grouped", "over_time"]
"""Which part of time to count, and whether cut into groups: the last two are. `now` is `grouped`, pooled."""


ERAS_OF: Final[Mapping[Span, tuple[int, ...]]] = {"before": (0, 1), "grouped": (2,), "over_time": (1, 2)}
"""Of which eras of `Selection.all_spans` a span is: the first bucket over time may begin before the period does."""


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
DIMENSIONS: Final = {"": "nothing"} | {name: name.replace("_", " ") for name in scope.DIMENSIONS}
"""What can be cut by, and filtered by: all that the numbers know, with its name for people."""
METRICS: Final = ("acceptance_rate", "retention", "correction_rate", "negative_feedback_rate")
KINDS: Final = ("", *FEEDBACK_KINDS)
LEAST_KEPT_S: Final = 2.0
MOST_KEPT_S: Final = 60.0
NOBODY: Final = "?" * (MAX_NAME + 1)
"""Stands for every name that no event has: it is longer than any."""
MAX_CUTS: Final = 2
MAX_VALUES: Final = 20
"""Of one dimension in a filter."""
_PARAMETERS: Final = (*scope.DIMENSIONS, "period", "by", "horizon", "metric", "kind")
_SHOWN_CHARS: Final = 60

Filters = tuple[tuple[str, tuple[str, ...]], ...]
"""Dimensions, and the values of each of which a suggestion must have one."""


@dataclass(frozen=True)
class Core:
    """The part of a selection that decides numbers."""

    filters: Filters
    period: str
    dimensions: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """One view of the page. `by` is empty for one group; `kind` is '' for all.

    horizon_s: 0 for the one that fits what the apps check. metric: '' for retention where they do, else acceptance.
    more: parameters that only the question has which is asked.
    """

    filters: Filters = ()
    period: str = "7d"
    by: tuple[str, ...] = ("prompt_version",)
    horizon_s: int = 0
    metric: str = ""
    kind: str = ""
    more: tuple[tuple[str, str], ...] = ()

    def within(self, apps: Collection[str] | None) -> "Selection":
        """The same of no other apps than these; None for every app. So that all apps are all that somebody may see."""
        if apps is None:
            return self
        chosen = self.only.get("app")
        kept = tuple(sorted(apps)) if chosen is None else tuple(app for app in chosen if app in apps)
        others = tuple(each for each in self.filters if each[0] != "app")
        return replace(self, filters=(("app", kept or (NOBODY,)), *others))

    def own(self, name: str) -> str:
        """A parameter that only one question has; '' where it is not there."""
        return dict(self.more).get(name, "")

    @property
    def span(self) -> Period:
        return PERIODS[self.period]

    @property
    def only(self) -> dict[str, list[str]]:
        """The filters as a Scope has them."""
        return {name: list(values) for name, values in self.filters}

    @property
    def of_nobody(self) -> bool:
        """Whether a filter leaves nothing, because no event has any of its values."""
        return any(values == (NOBODY,) for _, values in self.filters)

    @property
    def by_text(self) -> str:
        """What is cut by, for people."""
        return " and ".join(DIMENSIONS[name] for name in self.by or ("",))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What to cut by. Versions of different apps may share a name and have nothing else in common."""
        of_one_app = len(self.only.get("app", ())) == 1
        apart = "prompt_version" in self.by and "app" not in self.by and not of_one_app
        return ("app", *self.by) if apart else self.by

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

    def all_spans(self, now: datetime, in_buckets: bool) -> Scope:
        """All spans in one question, told apart by eras: `ERAS_OF`."""
        before, over_time = self.scope("before", now), self.scope("over_time", now)
        bucket_s = over_time.bucket_s if in_buckets else 0
        eras = (over_time.since, before.until)
        return Scope(before.since, now, now, self.dimensions, self.only, bucket_s, eras=eras)

    def core(self, span: Span) -> Core:
        """What decides the numbers of a span. Selections that differ in the rest share them."""
        cut = span in ("grouped", "over_time")
        return Core(self.filters, self.period, self.dimensions if cut else ())

    @property
    def keep_s(self) -> float:
        """How long numbers stay as good as new: a ten-thousandth of the period moves no digit that is shown."""
        return min(MOST_KEPT_S, max(LEAST_KEPT_S, self.span.length.total_seconds() / 10_000))


def collected(arguments: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The arguments of a request's query by name, in their order."""
    given: dict[str, list[str]] = {}
    for name, value in arguments:
        given.setdefault(name, []).append(value)
    return given


def parse(given: Mapping[str, str | Sequence[str]], own: Sequence[str] = ()) -> Selection:
    """The selection in a request's query. What is absent has its default; raises SelectionError.

    own: the names of parameters that the question has besides.
    """
    offered = (*_PARAMETERS, *own)
    if (unknown := next((name for name in given if name not in offered), None)) is not None:
        raise SelectionError(f"{_shown(unknown)} is no parameter; there are {', '.join(offered)}")
    all_of = {name: [values] if isinstance(values, str) else list(values) for name, values in given.items()}
    filters = {name: _filter(name, all_of[name]) for name in scope.DIMENSIONS if name in all_of}
    one_of = {name: _once(name, values) for name, values in all_of.items() if name not in filters}
    return Selection(
        filters=tuple((name, values) for name, values in filters.items() if values),
        period=_one_of("period", one_of.get("period", "7d"), PERIODS),
        by=_cuts(one_of.get("by", "")),
        horizon_s=_horizon(one_of["horizon"]) if "horizon" in one_of else 0,
        metric=_one_of("metric", one_of.get("metric", ""), ("", *METRICS)),
        kind=_one_of("kind", one_of.get("kind", ""), KINDS),
        more=tuple((name, _name(name, one_of[name])) for name in own if one_of.get(name)),
    )


def _once(name: str, values: Sequence[str]) -> str:
    if len(values) > 1:
        raise SelectionError(f"{name} is there twice, as {_shown(values[0])} and {_shown(values[1])}: leave one")
    return values[0]


def _filter(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """The values in one order, so that equal filters are one."""
    kept = tuple(sorted({_name(name, value) for value in values if value}))
    if len(kept) > MAX_VALUES:
        raise SelectionError(f"{name}: {len(kept)} values; a filter has {MAX_VALUES} at most")
    return kept


def _cuts(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(_one_of("by", name, DIMENSIONS) for name in text.split(",") if name))
    if len(names) > MAX_CUTS:
        raise SelectionError(f"by: {_shown(text)} names {len(names)} dimensions; at most {MAX_CUTS} fit on a screen")
    return names


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
