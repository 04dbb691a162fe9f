"""What users keep: acceptance, retention, feedback, failures, latency."""

from typing import Final

from keeprate.deploy.grafana.expressions import quantile, share, total
from keeprate.deploy.grafana.panels import Ask, answered, board, lines, number
from keeprate.deploy.grafana.statements import accepted_by
from keeprate.deploy.monitor import catalogue as monitor

_SPAN: Final = "$__range"
_VERSION: Final = ("app", "prompt_version")
_ACCEPTED: Final = 'outcome="accepted"'
_RETAINED: Final = ('outcome="retained"', 'outcome!="unknown"')
_FAILED: Final = 'status!="ok"'
_RATE: Final = {"acceptance_rate": "percentunit"}

_NOW: Final = (
    number(
        "Accepted",
        "Of what was shown in this time, counted once users had their five minutes.",
        "percentunit",
        Ask(share(monitor.SUGGESTIONS, (), _ACCEPTED, window=_SPAN)),
    ),
    number(
        "Retained, all horizons",
        "Of the accepted texts whose checks were made: mostly unchanged.",
        "percentunit",
        Ask(share(monitor.RETENTION_CHECKS, (), *_RETAINED, window=_SPAN)),
    ),
    number(
        "Shown",
        "Suggestions whose users had their five minutes.",
        "short",
        Ask(total(monitor.SUGGESTIONS, (), window=_SPAN)),
    ),
    number(
        "Failed generations",
        "Error, timeout, refused or cancelled, of all.",
        "percentunit",
        Ask(share(monitor.GENERATIONS, (), _FAILED, window=_SPAN)),
    ),
)
_KEPT: Final = (
    lines(
        "Acceptance by version",
        "accepted / shown. A fresh ratio is not too low here: only what can change no more is counted.",
        "percentunit",
        Ask(share(monitor.SUGGESTIONS, _VERSION, _ACCEPTED), "{{app}} {{prompt_version}}"),
    ),
    lines(
        "Retention by horizon",
        "Of accepted texts: how many are mostly unchanged after so long. What could not be checked is left out.",
        "percentunit",
        Ask(share(monitor.RETENTION_CHECKS, ("app", "horizon"), *_RETAINED), "{{app}} {{horizon}}"),
    ),
    lines(
        "Retention after ten minutes, by version",
        "A version may be accepted more and kept less.",
        "percentunit",
        Ask(share(monitor.RETENTION_CHECKS, _VERSION, *_RETAINED, 'horizon="10m"'), "{{app}} {{prompt_version}}"),
    ),
    lines(
        "What became of accepted texts",
        "Over all horizons.",
        "short",
        Ask(total(monitor.RETENTION_CHECKS, ("outcome",)), "{{outcome}}"),
        stacked=True,
    ),
    lines(
        "Shown, by what users did",
        "Accepted, rejected, or ignored for five minutes.",
        "short",
        Ask(total(monitor.SUGGESTIONS, ("outcome",)), "{{outcome}}"),
        stacked=True,
    ),
    lines(
        "How much accepted texts change",
        "The median and the worst tenth at the check after ten minutes: 0 nothing, 1 all.",
        "percentunit",
        Ask(quantile(monitor.EDIT_DISTANCE, _VERSION, 0.5), "{{app}} {{prompt_version}} median"),
        Ask(quantile(monitor.EDIT_DISTANCE, _VERSION, 0.9), "{{app}} {{prompt_version}} 90 %"),
    ),
)
_SAID: Final = (
    lines(
        "Feedback",
        "Events; a revote is two.",
        "short",
        Ask(total(monitor.FEEDBACK_EVENTS, ("app", "kind")), "{{app}} {{kind}}"),
        stacked=True,
    ),
    lines(
        "Failed generations by model",
        "Error, timeout, refused or cancelled, of all.",
        "percentunit",
        Ask(share(monitor.GENERATIONS, ("app", "model"), _FAILED), "{{app}} {{model}}"),
    ),
    lines(
        "Latency",
        "The median and the slowest twentieth, as the app measured it.",
        "s",
        Ask(quantile(monitor.DURATION, ("model",), 0.5), "{{model}} median"),
        Ask(quantile(monitor.DURATION, ("model",), 0.95), "{{model}} 95 %"),
    ),
    lines(
        "Time to the first token",
        "The slowest twentieth.",
        "s",
        Ask(quantile(monitor.FIRST_TOKEN, ("model",), 0.95), "{{model}} 95 %"),
    ),
    lines(
        "Tokens",
        "Read and written by models.",
        "short",
        Ask(total(monitor.TOKENS, ("model", "direction")), "{{model}} {{direction}}"),
        stacked=True,
        width=24,
    ),
)
_CUT: Final = (
    answered(
        "Acceptance by language",
        "From the table suggestions: the latest that is known, so an accept that came later than five minutes counts.",
        accepted_by("language"),
        _RATE,
        width=12,
    ),
    answered(
        "Acceptance by strategy of context",
        "The same, by how the app chose what the model was shown.",
        accepted_by("context_strategy"),
        _RATE,
        width=12,
    ),
)

BOARD: Final = board(
    "quality",
    "Keeprate: quality",
    "What users keep of what models wrote. docs/metrics.md says what each number means.",
    ("app", "prompt", "version", "window"),
    "7d",
    {"In this time": _NOW, "Kept": _KEPT, "Said, failed, waited for": _SAID, "By what Prometheus does not know": _CUT},
)
