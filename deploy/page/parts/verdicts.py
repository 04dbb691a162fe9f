"""What the first screen says in words: where a release is worse or better, and which series are in alarm since when."""

from datetime import UTC, datetime
from functools import partial
from typing import Final

from keeprate.deploy.monitor.drifting import evidence_of
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.parts import released
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.deploy.releases.words import NAMES
from keeprate.deploy.why import words
from keeprate.deploy.why.explaining import explain, of_release
from keeprate.deploy.why.links import EXPLAINED
from keeprate.sinks.closed import drift_states, watched
from keeprate.sinks.closed.batches import RETENTION
from keeprate.sinks.closed.drift_states import Kept, Series
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.store.clickhouse import to_ms
from keeprate.streams.quality.detector import SIDES, Policy, Side, changed_at, evidence_ratio

KEPT_S: Final = 60.0


def where(reads: Reads, selection: Selection) -> Json:
    """In which languages the first finding of each release is: `in every language; most in go`."""
    found = released.told(reads, selection)
    return {"rows": {name: _where(reads, told[0]) for name, told in found.items() if told}}


def _where(reads: Reads, kept: KeptVerdict) -> str:
    metric = EXPLAINED.get(kept.metric)
    if metric is None:
        return ""
    key = (released.key(kept), kept.metric, kept.horizon_s)
    sides = of_release(kept, reads.now)
    ask = partial(explain, reads.client, sides, metric, kept.horizon_s)
    found = reads.fact("where", key, lambda: ask(reads.summed(sides.scope)), KEPT_S)
    return words.where(found) if found else ""


def alarms(reads: Reads, selection: Selection) -> Json:
    """The series that the detector holds for changed, with the estimated start, the strongest first."""
    kept = reads.fact("drift states", None, lambda: drift_states.kept(reads.client), KEPT_S / 4)
    found = [
        (ratio, state, side)
        for state in kept.values()
        for side in SIDES
        if is_chosen(state.series, selection) and (ratio := ratio_of(state, side)) >= 1
    ]
    found.sort(key=lambda each: -each[0])
    return {"rows": [_alarm(*each) for each in found]}


def ratio_of(state: Kept, side: Side) -> float:
    """The evidence of a side: an alarm from 1 on."""
    return evidence_ratio(evidence_of(state.fell if side == "fell" else state.rose), Policy())


def series_json(series: Series) -> Json:
    """What a series is of."""
    app, prompt, version, model, metric = series
    return {"app": app, "prompt": prompt, "prompt_version": version, "model": model, "metric": _named(metric)}


def _named(metric: str) -> str:
    if metric.startswith(RETENTION):
        return words.metric_name("retention", int(metric.removeprefix(RETENTION)))
    return NAMES.get(metric, metric)


def _alarm(ratio: float, state: Kept, side: Side) -> Json:
    since = changed_at(evidence_of(state.fell if side == "fell" else state.rose))
    return series_json(state.series) | {
        "side": side,
        "is_harm": side == watched.named(state.series[4]).bad,
        "since": to_ms(datetime.fromtimestamp(since, UTC)),
        "evidence": ratio,
    }


def is_chosen(series: Series, selection: Selection) -> bool:
    """Whether a series is of the selection, as far as it knows the dimensions."""
    app, prompt, version, model, _ = series
    own = {"app": app, "prompt_name": prompt, "prompt_version": version, "model": model}
    return all(own[name] in values for name, values in selection.only.items() if name in own)
