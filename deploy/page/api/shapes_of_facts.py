"""The types of answers that hold single facts: lists of suggestions, one generation, versions judged, the pipeline."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from keeprate.deploy.page.api.shapes import ChangeJson, ChoiceJson, CompareJson, Number, RateJson, closed


@closed
class SuggestionRowJson(TypedDict):
    """One suggestion without content."""

    place: str
    at: int
    rank: str
    fate: str
    app: str
    generation_id: str
    choice_index: int
    orphan: bool | int
    environment: str
    user: str
    session: str
    operation: str
    surface: str
    language: str
    trigger: str
    provider: str
    model: str
    prompt_name: str
    prompt_version: str
    context_strategy: str
    step: str
    parent_generation_id: str
    experiment: str
    variant: str
    outcome: str
    finish_reason: str
    error_type: str
    trace_id: str
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Number | None
    latency_ms: Number | None
    shown: bool | int
    accepted: bool | int
    auto_applied: bool | int
    end_reason: str
    undone: bool | int
    corrected: bool | int
    touchless: bool | int
    accepted_length: int | None
    votes_positive: int
    votes_negative: int
    flag_labels: list[str]
    negative: bool | int
    corrections: int
    actions: list[str]
    state: str
    distance_ratio: float | None
    judgements: list[list[str]]


@closed
class SuggestionsJson(TypedDict):
    rows: list[SuggestionRowJson]
    next: str | None
    limit: int
    horizon_s: int
    fates: list[str]
    signals: list[str]


@closed
class EditedJson(TypedDict):
    """What users made of an output: pieces are (same, gone or new, text)."""

    event_id: str
    type: str
    occurred_at: int
    horizon_s: int | None
    moment: str | None
    origin: str | None
    status: str | None
    pieces: list[list[str]]


@closed
class GenerationJson(TypedDict):
    """One generation and what happened to it. Events are as apps sent them: docs/events.md."""

    generation: dict[str, Any] | None
    events: list[dict[str, Any]]
    more: bool
    changes: list[EditedJson]
    chain: list[dict[str, Any]]
    withheld: bool
    blind: bool
    trace_url: str | None


@closed
class CountedJson(TypedDict):
    numerator: int
    denominator: int


@closed
class JudgedJson(TypedDict):
    release: str
    app: str
    family: str
    version: str
    predecessor: str
    released_at: int
    metric: str
    title: str
    horizon_s: int
    method: str
    how: str
    new: CountedJson
    old: CountedJson
    difference: float | None
    low: float | None
    high: float | None
    points: str
    between: str
    verdict: Literal["worse", "better", "same", "not_yet"]
    why_open: str
    about: str
    days_left: float | None
    sees_in: str


@closed
class VersionsJson(TypedDict):
    component: str
    components: list[ChoiceJson]
    split: str
    splits: list[ChoiceJson]
    whole: CompareJson
    parts: CompareJson
    judged: list[JudgedJson]


@closed
class HopJson(TypedDict):
    """A topic, and how many of its records came to each end."""

    topic: str
    ok: int
    dead_letter: int
    filtered: int


@closed
class SetAsideJson(TypedDict):
    stage: str
    topic: str
    count: int


@closed
class LedgerJson(TypedDict):
    ranges: int
    offsets: int
    findings: list[str]


@closed
class AccountsJson(TypedDict):
    hops: list[HopJson]
    quarantined: list[SetAsideJson]
    ledger: LedgerJson


@closed
class DriftRowJson(TypedDict):
    app: str
    prompt: str
    prompt_version: str
    model: str
    metric: str
    standing: Literal["alarm", "suspected", "watching", "silent", "warming"]
    evidence: float
    events: int
    rate: float | None
    last_at: int | None


@closed
class DriftJson(TypedDict):
    enough: int
    rows: list[DriftRowJson]


@closed
class NewestJson(TypedDict):
    type: str
    action: NotRequired[str]
    app: str
    generation_id: str
    stored_at: int
    fate: Literal["joined", "orphan", "waiting"]


@closed
class RefusedJson(TypedDict):
    app: str
    error_type: str
    field: str
    reason: str
    refused_at: int


@closed
class ArrivalJson(TypedDict):
    newest: NewestJson | None
    refused: RefusedJson | None
    brokers: str
    collector: str


class LoginBody(TypedDict):
    """A login by a token, as `keeprate access token` made it."""

    token: str


@closed
class MeJson(TypedDict):
    """Who is logged in, and their role in each app, * for every app."""

    name: str
    roles: dict[str, Literal["viewer", "reviewer", "admin"]]
    texts_from: Literal["viewer", "reviewer", "admin"]


@closed
class SuiteRunJson(TypedDict):
    run: str
    version: str
    at: int
    passed: int
    failed: int
    error: int
    regressions: list[str]
    repairs: list[str]


@closed
class FailedCaseJson(TypedDict):
    case: str
    generation_id: str
    choice_index: int
    why: str
    prompt_version: str
    model: str
    at: int | None
    flag_labels: list[str]
    votes_negative: int
    corrections: int


@closed
class CaseResultJson(FailedCaseJson):
    """A case as the last run found it."""

    label: str


@closed
class VersionKeptJson(RateJson):
    version: str


@closed
class MendedJson(TypedDict):
    """What users keep of the version whose suggestions became cases, and of the one that mended them."""

    horizon_s: int
    before: VersionKeptJson
    after: VersionKeptJson
    change: ChangeJson | None


@closed
class StoryJson(TypedDict):
    app: str
    suite: str
    count: int
    state: Literal["red", "error", "green"]
    red: SuiteRunJson | None
    fixed: SuiteRunJson | None
    cases: list[FailedCaseJson]
    cases_count: int
    results: list[CaseResultJson]
    runs: list[SuiteRunJson]
    retention: MendedJson | None


@closed
class StoriesJson(TypedDict):
    stories: list[StoryJson]
