"""The OpenAPI document of the API, made from its routes: paths, parameters, the type of each answer."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter
from starlette.routing import BaseRoute, Route

from keeprate.deploy.cases.formats import FORMS
from keeprate.deploy.horizons import USUAL_S
from keeprate.deploy.page.api import shapes
from keeprate.deploy.page.api import shapes_of_facts as facts
from keeprate.deploy.page.api import shapes_of_keys as keys
from keeprate.deploy.page.api import shapes_of_reviews as reviews
from keeprate.deploy.page.api import shapes_of_verdicts as verdicts
from keeprate.deploy.page.exploring.tables import TABLES
from keeprate.deploy.page.selection import DIMENSIONS, KINDS, MAX_VALUES, METRICS, PERIODS
from keeprate.schemas.kinds import MAX_HORIZON_S, MAX_NAME
from keeprate.sinks.reading.lists.conditions import CHECK_FATES, FATES, SIGNALS
from keeprate.sinks.reading.scope import DIMENSIONS as NAMES

Json = dict[str, Any]
PATH: Final = "/api/openapi.json"
ANSWERS: Final[Mapping[str, Any]] = {
    "meta": shapes.MetaJson,
    "status": shapes.StatusJson,
    "summary": keys.SummaryJson,
    "releases": verdicts.ReleasesJson,
    "series": shapes.SeriesJson,
    "retention": shapes.RetentionJson,
    "funnel": shapes.FunnelJson,
    "compare": shapes.CompareJson,
    "feedback": shapes.FeedbackJson,
    "intake": shapes.IntakeJson,
    "why": verdicts.WhyJson,
    "where": verdicts.WhereJson,
    "alerts": verdicts.AlertsJson,
    "alarms": verdicts.AlarmsJson,
    "more": keys.MoreJson,
    "baseline": keys.BaselineJson,
    "suggestions": facts.SuggestionsJson,
    "versions": facts.VersionsJson,
    "accounts": facts.AccountsJson | None,
    "drift": facts.DriftJson,
    "arrival": facts.ArrivalJson,
    "cases": facts.StoriesJson,
    "prompts": verdicts.PromptsJson,
    "generations/{app}/{generation_id}": facts.GenerationJson,
    "me": facts.MeJson,
    "agreement": reviews.AgreementJson,
    "review": reviews.BoardJson,
    "review/items/{app}/{generation_id}": reviews.BlindedJson,
    "review/claim": reviews.ClaimedJson,
    "review/submit": reviews.SubmittedJson,
    "review/skip": reviews.SkippedJson,
    "review/undo": reviews.UndoneJson,
    "openapi.json": dict[str, Any],
}
"""By path under /api/: the type of the answer. A screen is made of its parts."""
_BODIES: Final[Mapping[str, Any]] = {
    "review/claim": reviews.ClaimBody,
    "review/submit": reviews.SubmitBody,
    "review/skip": reviews.SkipBody,
    "review/undo": reviews.UndoBody,
    "login": facts.LoginBody,
}
"""By path under /api/: the type of what is posted."""
_EMPTY: Final = frozenset({"login", "logout"})
"""What answers without a body."""
_OWN: Final[Mapping[str, tuple[str, Json]]] = {
    "release": ("a release as /api/releases names it, or `periods`", {"type": "string"}),
    "component": ("what is compared", {"enum": ["prompt_version", "model", "context_strategy"]}),
    "split": ("by what else it is cut", {"enum": [name for name in DIMENSIONS if name]}),
    "fate": ("what became of a suggestion", {"enum": [*FATES, *CHECK_FATES]}),
    "signal": (f"what was said of it, several with commas: {', '.join(SIGNALS)}", {"type": "string"}),
    "text": ("an id, the beginning of one, a trace id, or a part of a name or label", {"type": "string"}),
    "order": ("which come first", {"enum": ["newest", "worst"], "default": "newest"}),
    "after": ("a place that a page gave: go on from there", {"type": "string"}),
    "backwards": ("1 to go back from there", {"enum": ["0", "1"]}),
    "format": ("the form of a suite", {"enum": list(FORMS), "default": "jsonl"}),
    "limit": ("rows of a page", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
    "app": ("of this app alone; empty for all", {"type": "string"}),
    "reviewer": ("your name, where the page asks nobody who they are", {"type": "string"}),
    "queue": ("the queue from which you were given it", {"type": "string"}),
    "choice_index": ("of several choices, which", {"type": "integer", "minimum": 0, "default": 0}),
}
"""The parameters that only some questions have."""
_OF_REVIEWS: Final[Mapping[str, Sequence[str]]] = {
    "review": ("reviewer", "app"),
    "review/items/{app}/{generation_id}": ("reviewer", "queue", "choice_index"),
}
_FILES: Final = {"csv": "text/csv", "jsonl": "application/x-ndjson"}
_ERRORS: Final = {
    "400": "A parameter is wrong; the message names it, its value and what would do.",
    "401": "Nobody is logged in, and no token came.",
    "403": "Who asks may not see that, or a page elsewhere asks.",
    "404": "There is no such thing.",
    "500": "The store's tables are older than the page.",
    "503": "The store does not answer, or too many ask at once: see Retry-After.",
}
_ERRORS_OF_POST: Final = {
    "409": "The place at that suggestion is gone, or there is no such queue; nothing was sent.",
    "413": "The body is too large.",
    "415": "The body is not JSON: say content-type: application/json.",
}


@dataclass(frozen=True)
class Offered:
    """What there is to describe. questions: by name, of a selection; screens: the parts of some of them.

    own: the parameters that only some questions have.
    """

    questions: Mapping[str, Any]
    screens: Mapping[str, Sequence[str]]
    own: Mapping[str, Sequence[str]]


def description(routes: Iterable[BaseRoute], offered: Offered, version: str) -> Json:
    """The document of all routes under /api/."""
    schemas: Json = {"Error": _error()}
    paths: dict[str, Json] = {}
    for route in routes:
        if isinstance(route, Route) and route.path.startswith("/api/"):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                paths.setdefault(route.path, {})[method.lower()] = _operation(route, method, offered, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Keeprate", "version": version, "description": "What users keep of what the model wrote."},
        "paths": paths,
        "components": _components(schemas),
        # Where the page asks nobody who they are, no token is needed.
        "security": [{"token": []}, {}],
    }


def _components(schemas: Json) -> Json:
    errors = (_ERRORS | _ERRORS_OF_POST).items()
    return {
        "schemas": schemas,
        "parameters": {each["name"]: each for each in _shared()},
        "responses": {status: _said(text, "application/json", _ref("Error")) for status, text in errors},
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "description": "as `keeprate access token` made it"}
        },
    }


def _operation(route: Route, method: str, offered: Offered, schemas: Json) -> Json:
    name = route.path.removeprefix("/api/")
    question = TABLES.get(name.removesuffix(".csv"), (name.removesuffix(".csv"),))[0]
    given = [
        _parameter(each, "", {"type": "string"}, "path") for each in ("app", "generation_id") if f"{{{each}}}" in name
    ]
    if question in offered.questions or question in offered.own:
        given += [
            *({"$ref": f"#/components/parameters/{each['name']}"} for each in _shared()),
            *(_parameter(each, *_OWN[each]) for each in offered.own.get(question, ())),
        ]
    alone = ("format",) if name.endswith("}/cases.jsonl") else _OF_REVIEWS.get(name, ())
    given += [_parameter(each, *_OWN[each]) for each in alone]
    found: Json = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()} {name}").strip("_"),
        "summary": _summary(offered.questions.get(question) or route.endpoint),
        "parameters": given,
        "responses": _responses(name, method, offered, schemas),
    }
    if method != "GET":
        body = _schema(_BODIES[name], schemas) if name in _BODIES else {"type": "object"}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found


def _responses(name: str, method: str, offered: Offered, schemas: Json) -> Json:
    errors = _ERRORS if method == "GET" else _ERRORS | _ERRORS_OF_POST
    good = {"204": {"description": "It is done."}}
    if name not in _EMPTY:
        good = {"200": _said("The answer.", *_answer(name, offered, schemas))}
    return good | {status: {"$ref": f"#/components/responses/{status}"} for status in errors}


def _answer(name: str, offered: Offered, schemas: Json) -> tuple[str, Json]:
    if (kind := _FILES.get(name.rpartition(".")[2])) is not None:
        return kind, {"type": "string"}
    if name not in offered.screens:
        return "application/json", _schema(ANSWERS[name], schemas) if name in ANSWERS else {}
    types = {
        "meta": shapes.MetaJson,
        "selected": shapes.SelectedJson,
        **{part: ANSWERS[part] for part in offered.screens[name]},
    }
    made = {each: _schema(of, schemas) for each, of in types.items()}
    return "application/json", {
        "type": "object",
        "properties": made,
        "required": list(made),
        "additionalProperties": False,
    }


def _schema(of: Any, schemas: Json) -> Json:
    """The schema of a type; those of the types that it is made of are put to the others."""
    made = TypeAdapter(of).json_schema(ref_template="#/components/schemas/{model}")
    for name, model in made.pop("$defs", {}).items():
        if schemas.setdefault(name, model) != model:
            raise TypeError(f"two types of answers are called {name}: their schemas would replace each other")
    if "title" not in made:
        return made
    schemas[made["title"]] = made
    return _ref(made["title"])


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _said(text: str, kind: str, schema: Json) -> Json:
    return {"description": text, "content": {kind: {"schema": schema}}}


def _summary(function: Any) -> str:
    """The first line of the docstring of what answers."""
    while isinstance(function, partial):
        function = function.func
    return (inspect.getdoc(function) or "").partition("\n")[0]


def _parameter(name: str, text: str, schema: Json, place: str = "query") -> Json:
    found: Json = {"name": name, "in": place, "required": place == "path", "schema": schema}
    return found | ({"description": text} if text else {})


def _shared() -> list[Json]:
    """The parameters of a selection."""
    several = {"type": "array", "items": {"type": "string", "maxLength": MAX_NAME}, "maxItems": MAX_VALUES}
    filters = [_parameter(name, "only suggestions with one of these values", several) for name in NAMES]
    by = f"one or two of {', '.join(NAMES)}, with a comma; empty for one group"
    horizon = {"type": "integer", "minimum": 1, "maximum": MAX_HORIZON_S}
    return [
        *filters,
        _parameter("period", "which ends now", {"enum": list(PERIODS), "default": "7d"}),
        _parameter("by", by, {"type": "string", "default": ""}),
        _parameter("horizon", f"seconds after the accept; else {USUAL_S}, where the chosen apps look then", horizon),
        _parameter("metric", "else retention where the chosen apps check it", {"enum": ["", *METRICS]}),
        _parameter("kind", "of feedback; empty for all", {"enum": list(KINDS)}),
    ]


def _error() -> Json:
    said = {name: {"type": "string"} for name in ("code", "message")}
    error = {"type": "object", "properties": said, "required": list(said), "additionalProperties": False}
    return {"type": "object", "properties": {"error": error}, "required": ["error"], "additionalProperties": False}
