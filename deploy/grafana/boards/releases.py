"""Every release against what it replaced."""

from typing import Final

from keeprate.deploy.grafana.expressions import holding, largest, moment_ms, share
from keeprate.deploy.grafana.panels import Ask, answered, board, lines, rows
from keeprate.deploy.grafana.statements import VERDICTS
from keeprate.deploy.monitor import catalogue as monitor

# Of a model's release the labels of a prompt are empty, so that only the app can filter.
_CHOSEN: Final = ("app",)
_BY: Final = (*monitor.RELEASE, "metric")
_NAME: Final = "{{app}} {{prompt}}{{surface}} {{prompt_version}}{{model}}{{context_strategy}} {{metric}}"
_HEADINGS: Final = {
    "app": "app",
    "prompt": "prompt",
    "prompt_version": "version",
    "model": "model",
    "context_strategy": "context",
    "surface": "surface",
    "predecessor": "replaced",
}

_VERDICTS: Final = (
    rows(
        "Verdicts",
        "worse: KeeprateReleaseWorse fires, docs/runbook.md. same: within two points and a fifth of the rate.",
        Ask(holding(monitor.RELEASE_VERDICT, (*_BY, "verdict"), _CHOSEN)),
        {**_HEADINGS, "metric": "metric", "verdict": "verdict"},
        width=16,
    ),
    rows(
        "Released",
        "When the first generation of each occurred.",
        Ask(moment_ms(monitor.RELEASED_AT, monitor.RELEASE, _CHOSEN)),
        {"app": "app", "prompt_version": "version", "model": "model", "predecessor": "replaced", "Value": "released"},
        unit="dateTimeAsIso",
        width=8,
    ),
)
_HOW: Final = (
    lines(
        "Difference in retention",
        "New minus old: the estimate, and the interval that holds it at 95 % however often it is looked at.",
        "percentunit",
        Ask(
            largest(monitor.RELEASE_DIFFERENCE, (*_BY, "bound"), 'metric=~"retention_.+"', chosen=_CHOSEN),
            f"{_NAME} {{{{bound}}}}",
        ),
        signed=True,
        width=24,
    ),
    lines(
        "Difference in what users do at once",
        "Acceptance, flags, corrections, negative feedback; edits, judges; and failures, slow and dear calls.",
        "percentunit",
        Ask(
            largest(monitor.RELEASE_DIFFERENCE, (*_BY, "bound"), 'metric!~"retention_.+"', chosen=_CHOSEN),
            f"{_NAME} {{{{bound}}}}",
        ),
        signed=True,
        width=24,
    ),
    lines(
        "Evidence that a release is lower",
        "From 1 on it is enough; of a hundred harmless releases, one ever gets there.",
        "short",
        Ask(largest(monitor.RELEASE_EVIDENCE, _BY, 'direction="down"', chosen=_CHOSEN), _NAME),
        limit=1,
    ),
    lines(
        "Evidence that a release is higher",
        "Good for acceptance, retention and judges, bad for all else.",
        "short",
        Ask(largest(monitor.RELEASE_EVIDENCE, _BY, 'direction="up"', chosen=_CHOSEN), _NAME),
        limit=1,
    ),
    lines(
        "Acceptance of each version",
        "What is compared, as it came.",
        "percentunit",
        Ask(share(monitor.SUGGESTIONS, ("app", "prompt_version"), 'outcome="accepted"'), "{{app}} {{prompt_version}}"),
        width=24,
    ),
)
_EVER: Final = (
    answered(
        "Every release that was judged",
        "From the table release_verdicts, also those that are not in use any more.",
        VERDICTS,
        {"new_rate": "percentunit", "old_rate": "percentunit", "difference": "percentunit"}
        | {"low": "percentunit", "high": "percentunit"},
    ),
)

BOARD: Final = board(
    "releases",
    "Keeprate: releases",
    "Every release against what it replaced. docs/observability.md, Releases, says how they are judged.",
    ("app", "prompt", "version", "window"),
    "28d",
    {"Now": _VERDICTS, "How it came": _HOW, "Ever": _EVER},
)
