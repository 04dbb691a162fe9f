"""Results as evaluation events, so that they stand beside the suggestion in the store. Pure.

An evaluation by code is in no rate: it is neither a judge's word nor a person's. Which case, run and version it is of
stands in its attributes.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from keeprate.deploy.cases.runs import SuiteRun
from keeprate.deploy.cases.suite import Case

NAME: Final = "case"
"""Of the evaluation."""
ANNOTATOR: Final = "keeprate cases"
_WORDS: Final = 1000


def events_of(run: SuiteRun, cases: Mapping[str, Case]) -> Iterator[dict[str, Any]]:
    """One event for each result of a case that a suggestion stands behind. The same run gives the same events."""
    for result in run.results.values():
        case = cases.get(result.case)
        if case is None or not case.generation_id or not case.app:
            continue
        named = {"case": result.case, "suite": run.head["suite"], "run": run.run, "version": run.head["version"]}
        source = case.source
        yield {
            "type": "evaluation",
            "event_id": result.event_id,
            "occurred_at": result.at,
            "app": case.app,
            "generation_id": case.generation_id,
            **({"choice_index": source["choice_index"]} if source.get("choice_index") else {}),
            **({"environment": source["environment"]} if source.get("environment") else {}),
            "name": NAME,
            "annotator_kind": "code",
            "annotator": ANNOTATOR,
            "label": result.verdict,
            **({} if result.verdict == "error" else {"value": float(result.verdict == "passed")}),
            **({"explanation": result.why[:_WORDS]} if result.why else {}),
            "attributes": {name: value for name, value in named.items() if value},
        }
