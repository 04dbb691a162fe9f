"""Single facts of the page: is it alive, what users said last, one generation's story, and what did not get through."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from keeprate.deploy.horizons import USUAL_S, usual
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.definitions import DEFINITIONS, METRICS, VARIANTS
from keeprate.deploy.page.exploring.changes import changes
from keeprate.deploy.page.exploring.withheld import without_texts
from keeprate.deploy.page.files import charts_name
from keeprate.deploy.page.parts.places import seen
from keeprate.deploy.page.reads import NAMES_FOR_S, Reads
from keeprate.deploy.page.selection import DIMENSIONS, KINDS, NOBODY, PERIODS, Selection
from keeprate.producers.sdk.tracking import HORIZONS_S
from keeprate.schemas.explain import GOT
from keeprate.schemas.lift import verdict
from keeprate.sinks.facts import evidence, said
from keeprate.sinks.facts.chain import chain
from keeprate.sinks.facts.said import FEEDBACK_KINDS, Remark
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import to_ms

_KIND_NAMES: Final = {"": "all", "edit": "corrections"}
UNCUT: Final = Selection(by=())
MAX_NAMES: Final = 1000
"""That a dimension may have to be known by name. Where it has more, any name is asked for."""
MAX_REASONS: Final = 20
MAX_EVENTS: Final = 300
"""Of one generation in the drawer."""


def known(reads: Reads, selection: Selection) -> Selection:
    """The selection with a horizon and a metric, and with `NOBODY` for names that no event has.

    So whoever makes up names asks the store nothing new. Names are read anew as often as the page reads them.
    """
    longest, apps = selection.all_spans(reads.now, in_buckets=True), selection.only.get("app", [])
    filters = tuple((name, _existing(reads, name, values)) for name, values in selection.filters)
    # Where somebody looks at the usual horizon, what others look at changes nothing: it is asked beside the numbers.
    (by_app,) = reads.fact("horizons of sums", None, lambda: (_summed_horizons(reads, longest),), NAMES_FOR_S)
    if not any(USUAL_S in horizons_s for app, horizons_s in by_app.items() if not apps or app in apps):
        by_app = _horizons_by_app(reads, longest)
    horizon_s = selection.horizon_s or _horizons(by_app, apps)[1]
    # What is accepted more and kept less is no win: what is kept comes first, where anybody looks.
    metric = selection.metric or ("retention" if set(by_app) & set(apps or by_app) else "acceptance_rate")
    return replace(selection, filters=filters, horizon_s=horizon_s, metric=metric)


def _summed_horizons(reads: Reads, longest: Scope) -> Mapping[str, Sequence[int]]:
    """Those of each app of which sums tell. longest: of the questions that follow, so that one answer to what is summed
    serves them all."""
    reads.summed(longest)
    found = reads.summed(reads.named).horizons_by_app
    return {app: sorted(horizons_s) for app, horizons_s in found.items() if reads.sight.may(app)}


def selected(reads: Reads, selection: Selection) -> Json:
    """What a selection that is `known` comes to, the horizons that its apps check at, and what of it nobody has."""
    horizons_s, _ = _horizons(_horizons_by_app(reads), selection.only.get("app", []))
    return {
        "horizon_s": selection.horizon_s,
        "horizons_s": horizons_s,
        "metric": selection.metric,
        "unknown": [name for name, values in selection.filters if values == (NOBODY,)],
    }


def _horizons_by_app(reads: Reads, longest: Scope | None = None) -> Mapping[str, Sequence[int]]:
    """Those at which the checks of each app look, of the generations of the last 90 days.

    longest: of the questions that follow, so that one answer to what is summed serves them all.
    """

    def ask() -> Mapping[str, Sequence[int]]:
        if longest:
            reads.summed(longest)
        scope, apps = reads.named, reads.sight.apps or ()
        found = evidence.horizons(reads.client, scope.since, scope.until, apps, reads.summed(scope))
        return {app: horizons_s for app, horizons_s in found.items() if reads.sight.may(app)}

    return reads.fact("horizons", None, ask, NAMES_FOR_S)


def _horizons(by_app: Mapping[str, Sequence[int]], apps: Sequence[str]) -> tuple[list[int], int]:
    """The horizons of some apps, or of all, and the one that is proposed."""
    found = {horizon_s for app, horizons_s in by_app.items() if not apps or app in apps for horizon_s in horizons_s}
    horizons_s = sorted(found) or list(HORIZONS_S)
    return horizons_s, usual(horizons_s)


def _existing(reads: Reads, name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    # People are too many to list; a question about one is asked as it is.
    if name == "user":
        return values
    there = reads.fact(f"names of {name}", None, lambda: _names(reads, name), NAMES_FOR_S)
    if len(there) >= MAX_NAMES:
        return values
    return tuple(value for value in values if value in there) or (NOBODY,)


def _names(reads: Reads, name: str) -> frozenset[str]:
    if name == "app":
        return frozenset(filter(reads.sight.may, evidence.apps(reads.client)))
    return frozenset(queries.dimension_values(reads.client, reads.named, name, MAX_NAMES, reads.summed(reads.named)))


def meta(reads: Reads, selection: Selection = UNCUT) -> Json:
    """What can be chosen, and what each term means. The names are those of the last 90 days, whatever is selected: the
    selection tells what else is asked with them."""
    return reads.fact("meta", None, lambda: _meta(reads, selection), NAMES_FOR_S)


def _meta(reads: Reads, selection: Selection) -> Json:
    named = seen(reads, selection)
    by_app = _horizons_by_app(reads)
    horizons_s, default_s = _horizons(by_app, [])
    return {
        "apps": sorted({row["app"] for row in named}),
        "environments": sorted({row["environment"] for row in named} - {""}),
        "horizons_s": horizons_s,
        "default_horizon_s": default_s,
        "horizons_by_app": by_app,
        "periods": [{"value": period.name, "text": period.title} for period in PERIODS.values()],
        "dimensions": [{"value": name, "text": text} for name, text in DIMENSIONS.items()],
        "metrics": list(METRICS),
        "variants": [
            {"value": name, "text": text, "meaning": meaning} for name, (_, text, meaning) in VARIANTS.items()
        ],
        "kinds": [{"value": kind, "text": _KIND_NAMES.get(kind, f"{kind}s")} for kind in KINDS],
        "charts": charts_name(),
        "definitions": {name: vars(definition) for name, definition in DEFINITIONS.items()},
    }


def status(reads: Reads, selection: Selection) -> Json:
    """The header: is it alive, and is anything lost in the period."""
    now, pulse = (
        reads.now,
        reads.fact("pulse", None, lambda: evidence.pulse(reads.client, reads.now, reads.sight.apps or ())),
    )
    lags, newest = [each.p50_s for each in _lag(reads)], pulse.newest_event_at
    return {
        "now": to_ms(now),
        "newest_event_at": None if newest is None else to_ms(newest),
        "freshness_s": None if newest is None else max(0.0, (now - newest).total_seconds()),
        "events_per_min": pulse.events_per_min,
        "lag_s": max(lags, default=None),
        "orphans": _orphaned(reads, selection),
        "dead_letters": sum(each.letters for each in _refusals(reads, selection)),
    }


def _lag(reads: Reads) -> list[evidence.Lag]:
    return reads.fact("lag", None, lambda: evidence.lag(reads.client, reads.now, reads.sight.apps or ()))


def _orphaned(reads: Reads, selection: Selection) -> int:
    """How many orphans there are of the apps that are chosen: of nothing else, because nothing else of one is known."""
    if selection in reads.begun and selection.only.keys() <= {"app"}:
        return sum(row["orphans"] for row in reads.counts(selection, "now"))
    return sum(each.orphans for each in _orphans(reads, selection))


def _orphans(reads: Reads, selection: Selection) -> list[evidence.Orphans]:
    since, apps = reads.now - selection.span.length, selection.only.get("app", [])

    def ask() -> list[evidence.Orphans]:
        summed = reads.summed(selection.scope("now", reads.now))
        return evidence.orphans(reads.client, since, reads.now, apps, summed)

    return reads.fact("orphans", (selection.period, tuple(apps)), ask)


def _refusals(reads: Reads, selection: Selection) -> list[evidence.Refusals]:
    since = reads.now - selection.span.length
    ask = partial(evidence.refusals, reads.client, since, reads.now, apps=reads.sight.apps or ())
    return reads.fact("refusals", selection.period, ask)


def intake(reads: Reads, selection: Selection) -> Json:
    """What did not get through, or not yet, with the reasons. One may quote what came, which is somebody's text."""
    return {
        "orphans": [
            {
                "app": each.app,
                "count": each.orphans,
                "share": each.orphans / each.suggestions,
                "oldest_at": to_ms(each.oldest_at),
            }
            for each in _orphans(reads, selection)
        ],
        "lag": [
            {
                "topic": each.topic,
                "p50_s": each.p50_s,
                "p99_s": each.p99_s,
                "rows": each.rows,
                "newest_at": to_ms(each.newest_at),
            }
            for each in _lag(reads)
        ],
        "dead_letters": [
            {
                "topic": each.topic,
                "stage": each.stage,
                "error_type": each.error_type,
                "field": each.field,
                "count": each.letters,
                "newest_at": to_ms(each.newest_at),
                "reason": each.reason if reads.sight.reads_all else each.reason.partition(GOT)[0],
            }
            for each in _refusals(reads, selection)[:MAX_REASONS]
        ],
    }


def feedback(reads: Reads, selection: Selection) -> Json:
    """The latest flags, votes and edits of the selection."""
    kinds = [selection.kind] if selection.kind else list(FEEDBACK_KINDS)
    # A client's clock may run ahead of ours a little; what it said is shown all the same.
    since, until = reads.now - selection.span.length, reads.now + timedelta(minutes=5)
    key = (selection.core("now"), selection.kind)
    ask = partial(said.remarks, reads.client, since, until, kinds, selection.only)
    found = reads.fact("remarks", key, ask)
    return {"rows": [_remark(each, reads.sight.may_read(each.event["app"])) for each in found]}


def _remark(remark: Remark, with_text: bool) -> Json:
    event = remark.event
    return {
        "event_id": event["event_id"],
        "generation_id": event["generation_id"],
        "choice_index": event.get("choice_index") or 0,
        "at": event["occurred_at"],
        "kind": event["type"],
        "app": event["app"],
        "prompt_name": remark.prompt_name,
        "prompt_version": remark.prompt_version,
        "model": remark.model,
        "valence": _valence(event),
        "comment": (event.get("comment") or "") if with_text else "",
        "label": event.get("label"),
        "status": event.get("status"),
        "severity": event.get("severity"),
        "value": event.get("value"),
        "score": _score_share(event),
        "changed_share": _changed_share(event),
    }


def _valence(event: dict[str, Any]) -> str:
    if event["type"] == "flag":
        return "neutral" if event["status"] == "unset" else event.get("valence") or "negative"
    if event["type"] == "edit":
        return "neutral"
    share = _score_share(event)
    side = event.get("value") or 0 if share is None else share - 0.5
    return "positive" if side > 0 else "negative" if side < 0 else "neutral"


def _score_share(event: dict[str, Any]) -> float | None:
    """A vote's score as a share of its scale; None for a plain vote."""
    if event.get("score") is None:
        return None
    return verdict(None, event["score"], event["scale_min"], event["scale_max"])[1]


def _changed_share(event: dict[str, Any]) -> float | None:
    if event.get("distance") is None:
        return None
    return float(event["distance"] / max(event["original_length"], event["corrected_length"], 1))


def generation(reads: Reads, app: str, generation_id: str) -> Json | None:
    """One generation and every event about it, in order, with texts where they may be read; None without an event."""
    client = reads.client
    events, is_whole = said.story(client, app, generation_id, MAX_EVENTS)
    if not events:
        return None
    # Of two reports of one generation, the higher revision and then the later one holds.
    reports = [event for event in events if event["type"] == "generation"]
    latest = max(reports, key=lambda event: (event.get("revision") or 0, event["occurred_at"]), default=None)
    found = {
        "generation": latest,
        "events": events,
        "more": not is_whole,
        "changes": changes(latest, events),
        "chain": chain(client, app, generation_id),
        "withheld": False,
        "blind": False,
    }
    return found if reads.sight.may_read(app) else without_texts(found)
