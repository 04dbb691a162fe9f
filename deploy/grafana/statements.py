"""SQL for the panels: what Prometheus cannot hold, because there is too much of it or because it is text. Pure.

Counts of suggestions are the measures of `sinks/reading`, so acceptance is defined there and nowhere else.
"""

from typing import Final

from keeprate.sinks.facts.dead_letters import ENTRIES
from keeprate.sinks.reading.measures import ALIASES, SUGGESTIONS

_MEASURES: Final = {measure.name: measure for measure in SUGGESTIONS}
_CHOSEN: Final = """app IN (${{app:singlequote}})
    AND {prompt} IN (${{prompt:singlequote}})
    AND {version} IN (${{version:singlequote}})"""


def _label(column: str) -> str:
    """A column as the monitor's label shows it: what is not known reads so."""
    return f"if({column} = '', 'unknown', {column})"


def accepted_by(dimension: str) -> str:
    """What was shown and accepted within the panel's time, by a dimension that is no label in Prometheus."""
    chosen = _CHOSEN.format(prompt=_label("prompt_name"), version=_label("prompt_version"))
    shown, accepted = _MEASURES["shown"], _MEASURES["accepted"]
    return f"""SELECT
    name AS {dimension},
    {shown.column} AS shown,
    {accepted.column} AS accepted,
    accepted / shown AS acceptance_rate
FROM (
    WITH {ALIASES}
    SELECT {_label(dimension)} AS name, {shown.part()} AS {shown.column}, {accepted.part()} AS {accepted.column}
    FROM suggestions FINAL
    WHERE $__timeFilter_ms(cohort_at)
    AND {chosen}
    GROUP BY name
)
WHERE shown > 0
ORDER BY shown DESC
LIMIT 50"""


VERDICTS: Final = """SELECT
    app,
    component,
    family,
    version,
    predecessor,
    metric,
    horizon_s,
    verdict,
    new_successes / nullIf(new_trials, 0) AS new_rate,
    old_successes / nullIf(old_trials, 0) AS old_rate,
    difference,
    low,
    high,
    new_trials,
    days_left,
    released_at
FROM release_verdicts FINAL
WHERE app IN (${app:singlequote})
ORDER BY released_at DESC, app, component, version, metric, horizon_s
LIMIT 500"""
"""Every release that was ever judged, also those that are exported no more."""

REFUSED: Final = f"""SELECT
    app,
    topic,
    error_type,
    field,
    count() AS records,
    max(refused_at) AS last_at,
    anyLast(reason) AS reason
FROM ({ENTRIES})
WHERE is_open
GROUP BY app, topic, error_type, field
ORDER BY records DESC
LIMIT 100"""
"""What is refused and neither replayed nor dropped, whenever that was: the panel's time does not hide it."""

LANDED: Final = """SELECT
    $__timeInterval(stored_at) AS time,
    topic,
    sum(rows) AS rows,
    sum(dead_letters) AS dead_letters
FROM ledger FINAL
WHERE $__timeFilter_ms(stored_at)
GROUP BY time, topic
ORDER BY time"""
