"""An app that does nothing wrong, and what the store must say of it whatever others send."""

import json
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client
from tests.streaming import story
from tests.worked_example import worked_example

INNOCENT: Final = "innocent"
_SEED: Final = 20_260_301
_SUGGESTIONS: Final = 150


def innocent_log(now_ms: int) -> list[Event]:
    """Events of every type, the same at every time but for when they happen: within the last hours."""
    rng = random.Random(_SEED)
    log = story(rng, INNOCENT, _SUGGESTIONS, now_ms - 3_000_000)
    log += worked_example(INNOCENT, now_ms - 4 * 3_600_000)
    return log + [more for event in log if event["type"] == "vote" for more in _judged(rng, event)]


def one_more(number: int, now_ms: int) -> list[Event]:
    """Events of the same app in every partition, which tell that all before them is done."""
    return story(random.Random(_SEED + 1 + number), INNOCENT, 16, now_ms - 600_000)


def _judged(rng: random.Random, vote: Event) -> list[Event]:
    judgement = {"type": "evaluation", "name": "helpful", "annotator": "judge", "label": rng.choice(("yes", "no"))}
    correction = {"type": "edit", "distance": 3, "original_length": 10, "corrected_length": 12}
    bodies = [judgement | {"annotator_kind": kind} for kind in ("human", "llm")] + [correction]
    about = {name: vote[name] for name in ("schema_version", "occurred_at", "app", "generation_id", "user")}
    return [
        validate(about | {"event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4))} | body) for body in bodies
    ]


def insert_expected(client: Client, log: list[Event]) -> None:
    """Have in a store what a single thread makes of the log: what the innocent app is compared with."""
    rows = [encode_outcome(key, outcome) for key, outcome in fold(log).items()]
    settings = {"input_format_json_named_tuples_as_objects": 0}
    client.insert_bytes("outcomes", (), b"\n".join(rows), "JSONEachRow", settings)
    derive_all(client)


def everything_said(client: Client, app: str, now_ms: int) -> dict[str, list[str]]:
    """Every view's rows of an app, as JSON that has neither NaN nor infinity in it. Raises where a view does."""
    at = datetime.fromtimestamp(now_ms // 1000, UTC)
    scope = Scope(
        at - timedelta(days=2),
        at + timedelta(days=2),
        at + timedelta(days=3),
        by=("user", "model"),
        only={"app": [app]},
    )
    read: dict[str, Callable[[Client, Scope], list[Any]]] = {
        "funnel": queries.funnel,
        "rates": queries.rates,
        "user_rates": queries.user_rates,
        "retention": queries.retention,
        "retention_rates": queries.retention_rates,
        "feedback_rates": queries.feedback_rates,
        "judge_rates": queries.judge_rates,
    }
    said = {name: [_plain(asdict(row)) for row in ask(client, scope)] for name, ask in read.items()}
    # When a suggestion was derived is all that may differ.
    for table, columns in (("suggestions", "* EXCEPT (derived_at)"), ("outcomes", "*")):
        rows = client.query_dicts(f"SELECT {columns} FROM {table} FINAL WHERE app = {{app:String}}", {"app": app})
        said[table] = sorted(map(_plain, rows))
    return said


def _plain(row: Mapping[str, Any]) -> str:
    return json.dumps(_rounded(row), default=str, sort_keys=True, allow_nan=False)


def _rounded(value: Any) -> Any:
    """Sums of floats depend on their order in the last digits."""
    match value:
        case float():
            return float(f"{value:.9g}")
        case dict():
            return {str(name): _rounded(each) for name, each in value.items()}
        case list() | tuple():
            return list(map(_rounded, value))
    return value
