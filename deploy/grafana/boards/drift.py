"""The detector: what it holds against what, and what speaks for a change."""

from typing import Final

from keeprate.deploy.grafana.expressions import holding, largest, moment_ms, share
from keeprate.deploy.grafana.panels import Ask, board, lines, number, rows
from keeprate.deploy.monitor import catalogue as monitor

_BY: Final = (*monitor.PROMPT, "metric")
_NAME: Final = "{{app}} {{prompt_version}} {{model}} {{metric}}"
_DOWN: Final = 'direction="down"'
_UP: Final = 'direction="up"'
_ACCEPTANCE: Final = 'kind="acceptance"'
_HEADINGS: Final = {
    "app": "app",
    "prompt": "prompt",
    "prompt_version": "version",
    "model": "model",
    "metric": "metric",
}

_NOW: Final = (
    number(
        "Most evidence of a fall",
        "Of acceptance or retention. From 1 on it is an alarm; one in a thousand days of a series is false.",
        "short",
        Ask(f"max({largest(monitor.DRIFT_EVIDENCE, _BY, _DOWN)})"),
        bad_from=1,
        width=8,
    ),
    number(
        "Series watched",
        "Series with a baseline of their own, or their prompt's.",
        "short",
        Ask(f"count({largest(monitor.DRIFT_DISPERSION, _BY)})"),
        width=8,
    ),
    number(
        "Detector behind what has closed",
        "Of an app that had nothing for a while it is that long; KeeprateDriftDetectorStale fires where it had.",
        "s",
        Ask(f"max({largest(monitor.BATCHES, ('app',), _ACCEPTANCE)} - {largest(monitor.DRIFT_UPDATED_AT, ('app',))})"),
        bad_from=900,
        width=8,
    ),
)
_EVIDENCE: Final = (
    lines(
        "Evidence of a fall",
        "An alarm from 1 on.",
        "short",
        Ask(largest(monitor.DRIFT_EVIDENCE, _BY, _DOWN), _NAME),
        limit=1,
    ),
    lines(
        "Evidence of a rise",
        "An alarm from 1 on: bad for failures, a gain or a change of what is sent elsewhere.",
        "short",
        Ask(largest(monitor.DRIFT_EVIDENCE, _BY, _UP), _NAME),
        limit=1,
    ),
    lines(
        "Acceptance, and what to expect",
        "The baseline is of the 28 days that ended a day before it was computed.",
        "percentunit",
        Ask(
            share(monitor.SUGGESTIONS, monitor.PROMPT, 'outcome="accepted"'),
            "{{app}} {{prompt_version}} {{model}}",
        ),
        Ask(
            largest(monitor.BASELINE_RATIO, monitor.PROMPT, 'metric="acceptance"'),
            "{{app}} {{prompt_version}} {{model}} expected",
        ),
        width=24,
    ),
)
_STATES: Final = (
    rows(
        "Where each series stands",
        "warming, inherited (its prompt's profile), own, frozen (a change is suspected), alarm.",
        Ask(holding(monitor.DRIFT_STATE, (*_BY, "state"))),
        {**_HEADINGS, "state": "state"},
        width=12,
    ),
    rows(
        "When a change began",
        "Of series in alarm: look for what was released then.",
        Ask(moment_ms(monitor.DRIFT_CHANGED_AT, (*_BY, "direction"))),
        {**_HEADINGS, "direction": "direction", "Value": "since"},
        unit="dateTimeAsIso",
        width=12,
    ),
    rows(
        "What got worse together",
        "Series of one cause are one alert of their concern, under the prompt that was found first.",
        Ask(moment_ms(monitor.DRIFT_ALARM, (*_BY, "concern", "cause"))),
        {**_HEADINGS, "concern": "concern", "cause": "cause", "Value": "since"},
        unit="dateTimeAsIso",
        width=12,
    ),
    rows(
        "Which cut explains it",
        "How much of the difference would be gone without it. Empty where nothing is in alarm, or no cut explains it.",
        Ask(largest(monitor.DRIFT_CAUSE, ("app", "cause", "concern", "cut", "value", "by"))),
        {"app": "app", "cause": "cause", "concern": "concern", "cut": "cut", "value": "value", "by": "by"}
        | {"Value": "share"},
        unit="percentunit",
        width=12,
    ),
    rows(
        "What each baseline rests on",
        "Below 300 events there is none of its own.",
        Ask(largest(monitor.BASELINE_EVENTS, _BY)),
        {**_HEADINGS, "Value": "events"},
        width=12,
    ),
    rows(
        "What would be seen within a day",
        "The smallest change for the worse, as a part of the expected rate. Infinite: too young, or too little of it.",
        Ask(largest(monitor.DRIFT_DETECTABLE, _BY)),
        {**_HEADINGS, "Value": "part"},
        width=12,
    ),
    rows(
        "The last day",
        "The rate of the day before each series' last batch.",
        Ask(largest(monitor.DRIFT_CURRENT, _BY)),
        {**_HEADINGS, "Value": "rate"},
        width=12,
    ),
    rows(
        "Series",
        "The thousand busiest are exported, and those in alarm; all are scored.",
        Ask(largest(monitor.DRIFT_SERIES, ("exported",))),
        {"exported": "exported", "Value": "series"},
        width=12,
    ),
    rows(
        "How much counts vary",
        "Against independent events; evidence is divided by it.",
        Ask(largest(monitor.DRIFT_DISPERSION, _BY)),
        {**_HEADINGS, "Value": "times"},
        width=12,
    ),
)

BOARD: Final = board(
    "drift",
    "Keeprate: drift",
    "Slow changes of what users keep. docs/observability.md, Drift, says how they are found.",
    ("app", "prompt", "version", "window"),
    "7d",
    {"Now": _NOW, "Evidence": _EVIDENCE, "Series": _STATES},
)
