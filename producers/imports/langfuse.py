"""Langfuse's exports as events: observations, traces and scores, from the UI, the API or the blob storage.

Pure. Rows of every export are read the same way: names in camelCase or snake_case, values as JSON or as CSV's text. An
observation has the identity that the collector gives the span of the same trace and id, so history that is imported and
spans that go on arriving meet. The table of docs/importing.md is the contract, field by field.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from keeprate.producers.collector.otel import messages
from keeprate.producers.collector.otel.evaluations import label_of, vote_of
from keeprate.producers.collector.otel.generations import count_of, hashed_user, number_of, outcome_of, with_content
from keeprate.producers.collector.otel.identity import has_ids, named_event_id, span_generation_id
from keeprate.producers.collector.otel.messages import name_of, text_of
from keeprate.producers.imports.rows import Found
from keeprate.schemas import decode
from keeprate.schemas.events import SCHEMA_VERSION, Event
from keeprate.schemas.ids import foreign_id

Row = Mapping[str, Any]

OPERATIONS: Final = {
    "GENERATION": "chat",
    "AGENT": "invoke_agent",
    "CHAIN": "invoke_workflow",
    "TOOL": "execute_tool",
}
"""Types of observation that made an output; spans, events, retrievers and the like are left aside."""
VOTE_NAMES: Final = ("user_feedback", "user_vote", "feedback", "thumbs", "thumbs_up_down", "helpful", "rating")
ANNOTATORS: Final = {"ANNOTATION": "human", "EVAL": "llm", "API": "code"}
SCALES: Final = ((0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.0, 5.0), (0.0, 10.0), (0.0, 100.0))


@dataclass(frozen=True)
class Outcome:
    """What became of one row: an event, a refusal, or the reason why it is left aside. place: where the row stands."""

    place: str
    event: Event | None = None
    error: decode.ContractError | None = None
    ignored: str = ""


@dataclass
class Index:
    """What rows say of each other, from a first pass over all of them."""

    app: str
    salt: bytes
    observations: dict[str, tuple[str, bool]] = field(default_factory=dict)
    traces: dict[str, Row] = field(default_factory=dict)
    targets: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Note one row, of whatever kind."""
        kind = kind_of(row)
        if kind == "trace":
            self.traces[str(row.get("id"))] = row
        elif kind == "observation":
            self.observations[str(row.get("id"))] = (
                str(row.get("parent_observation_id") or ""),
                row.get("type") in OPERATIONS,
            )
            if row.get("type") in OPERATIONS:
                self._target(row)
        elif kind == "score" and (value := number_of(row.get("value"))) is not None:
            low, high = self.ranges.get(str(row.get("name")), (value, value))
            self.ranges[str(row.get("name"))] = (min(low, value), max(high, value))

    def _target(self, row: Row) -> None:
        """A score of a whole trace is about its outermost generation, and the last where there are several."""
        trace_id = str(row.get("trace_id"))
        depth = (1 if row.get("parent_observation_id") else 0) + (2 if row.get("type") == "TOOL" else 0)
        candidate = (-depth, milliseconds(row.get("start_time")), str(row.get("id")))
        self.targets[trace_id] = max(self.targets.get(trace_id, candidate), candidate)

    def parent_of(self, row: Row) -> str | None:
        """The nearest observation around one that made an output."""
        at, seen = str(row.get("parent_observation_id") or ""), set()
        while at and at not in seen:
            seen.add(at)
            above, is_generation = self.observations.get(at, ("", False))
            if is_generation:
                return at
            at = above
        return None

    def generation_of(self, trace_id: str, observation_id: str) -> str:
        """The generation that a score is about."""
        if not observation_id and trace_id in self.targets:
            observation_id = self.targets[trace_id][2]
        if observation_id:
            return span_generation_id(self.app, trace_id, observation_id)
        return foreign_id(self.app, trace_id)


def kind_of(row: Row) -> str:
    """observation, score, trace, or empty for a row of none of these."""
    if "start_time" in row and "type" in row:
        return "observation"
    if "name" in row and ("data_type" in row or "string_value" in row or ("value" in row and "source" in row)):
        return "score"
    if "id" in row and "timestamp" in row:
        return "trace"
    return ""


def outcomes(
    rows: Callable[[], Iterable[Found]], app: str, salt: bytes, now_ms: int | None = None
) -> Iterator[Outcome]:
    """What becomes of each row. `rows` is called twice: feedback may stand before what it is about.

    now_ms: the latest that an event may be dated is a day after it.
    """
    index = Index(app, salt)
    for found in rows():
        # What cannot be noted is refused below, where it cannot be noted again.
        with contextlib.suppress(Exception):
            index.add(found.value)
    for found in rows():
        if found.error is not None:
            yield Outcome(found.place, error=found.error)
            continue
        try:
            yield _outcome(found, index, now_ms)
        except decode.ContractError as error:
            yield Outcome(found.place, error=error)
        except Exception as error:  # noqa: BLE001  a row of a shape that nobody thought of ends no import
            yield Outcome(found.place, error=decode.ContractError("invalid", f"{type(error).__name__}: {error}"))


def _outcome(found: Found, index: Index, now_ms: int | None) -> Outcome:
    row: Row = found.value
    index.add(row)
    match kind_of(row):
        case "observation" if row.get("type") in OPERATIONS:
            said = _observation(row, index)
        case "score" if row.get("trace_id"):
            said = _score(row, index)
        case "trace" if str(row.get("id")) not in index.targets:
            said = _trace(row, index)
        case kind:
            return Outcome(found.place, ignored=kind or "unknown_row")
    event = {name: value for name, value in said.items() if value is not None}
    return Outcome(found.place, event=decode.validate(event, now_ms))


def _observation(row: Row, index: Index) -> dict[str, Any]:
    trace_id, observation_id = str(row.get("trace_id")), str(row.get("id"))
    started_ms, ended_ms = milliseconds(row.get("start_time")), milliseconds(row.get("end_time"))
    parent_id = index.parent_of(row)
    event = _whose(row, index.traces.get(trace_id, {}), index) | {
        "type": "generation",
        "event_id": named_event_id(index.app, "langfuse", "observation", trace_id, observation_id),
        "generation_id": span_generation_id(index.app, trace_id, observation_id),
        "occurred_at": started_ms,
        "external_id": name_of(observation_id),
        "operation": OPERATIONS[str(row["type"])],
        "step": name_of(row.get("name")),
        "model": name_of(row.get("provided_model_name") or row.get("model")),
        "prompt_name": name_of(row.get("prompt_name")),
        "prompt_version": name_of(row.get("prompt_version")),
        "parameters": _object(row.get("model_parameters")),
        "latency_ms": ended_ms - started_ms if ended_ms >= started_ms else None,
        "time_to_first_token_ms": _first_token_ms(row, started_ms),
        "error_message": text_of(row["status_message"]) if row.get("status_message") else None,
    }
    if has_ids(trace_id, observation_id):
        event |= {"trace_id": trace_id, "span_id": observation_id}
    if parent_id:
        event["parent_generation_id"] = span_generation_id(index.app, trace_id, parent_id)
    return _finished(event | _usage(row), row, failed=row.get("level") == "ERROR")


def _trace(row: Row, index: Index) -> dict[str, Any]:
    """A trace whose observations made no output is itself the generation: some apps log no more than that."""
    event = _whose(row, {}, index) | {
        "type": "generation",
        "event_id": named_event_id(index.app, "langfuse", "trace", str(row["id"])),
        "generation_id": foreign_id(index.app, str(row["id"])),
        "occurred_at": milliseconds(row.get("timestamp")),
        "external_id": name_of(row.get("id")),
        "step": name_of(row.get("name")),
    }
    return _finished(event, row, failed=False)


def _finished(event: dict[str, Any], row: Row, failed: bool) -> dict[str, Any]:
    """With content and outcome."""
    inputs = messages.to_messages(row.get("input") or None, "user")
    outputs = messages.to_messages(row.get("output") or None, "assistant")
    event = with_content(event, inputs, outputs)
    names = messages.parsed(row.get("tool_call_names"))
    if called := messages.tool_names(names):
        event["tools_called"] = called
    offered = messages.parsed(row.get("tool_definitions"))
    if isinstance(offered, dict) and offered:
        event["tools_offered"] = [str(name)[: messages.NAME_LENGTH] for name in offered][: messages.MAX_MESSAGES]
    if failed:
        event["error_type"] = "error"
    return event | {"outcome": outcome_of(event, {}, failed)}


def _whose(row: Row, trace: Row, index: Index) -> dict[str, Any]:
    user = row.get("user_id") or trace.get("user_id")
    return {
        "schema_version": SCHEMA_VERSION,
        "app": index.app,
        "environment": name_of(row.get("environment") or trace.get("environment")),
        "session": name_of(row.get("session_id") or trace.get("session_id")),
        "user": hashed_user(user, index.salt) if user else None,
    }


def _usage(row: Row) -> dict[str, Any]:
    usage = _object(row.get("usage_details") or row.get("usage")) or {}
    cost = number_of(row.get("total_cost") or row.get("calculated_total_cost"))
    return {
        "input_tokens": count_of(usage.get("input", row.get("input_tokens"))),
        "output_tokens": count_of(usage.get("output", row.get("output_tokens"))),
        "cost_usd": cost if cost is not None and cost >= 0 else None,
    }


def _first_token_ms(row: Row, started_ms: int) -> int | None:
    seconds = number_of(row.get("time_to_first_token"))
    if seconds is not None:
        return count_of(seconds * 1000)
    first_ms = milliseconds(row.get("completion_start_time"))
    return first_ms - started_ms if first_ms >= started_ms > 0 else None


def _score(row: Row, index: Index) -> dict[str, Any]:
    trace_id = str(row.get("trace_id"))
    name, source = label_of(str(row.get("name")).replace("-", "_")), str(row.get("source") or "API").upper()
    event = _whose(row, index.traces.get(trace_id, {}), index) | {
        "event_id": named_event_id(index.app, "langfuse", "score", str(row.get("id"))),
        "generation_id": index.generation_of(trace_id, str(row.get("observation_id") or "")),
        "occurred_at": milliseconds(row.get("timestamp") or row.get("created_at")),
        "external_id": name_of(row.get("id")),
    }
    comment = text_of(row["comment"]) if row.get("comment") else None
    label, value = name_of(row.get("string_value")), number_of(row.get("value"))
    if str(row.get("data_type")).upper() == "CORRECTION":
        corrected = row.get("long_string_value") or row.get("string_value") or row.get("value")
        origin = "expert" if source == "ANNOTATION" else "user"
        return event | {"type": "edit", "corrected_text": text_of(corrected), "origin": origin, "comment": comment}
    if name in VOTE_NAMES and source != "EVAL" and (vote := _vote(row, value, label, index)):
        return event | vote | {"type": "vote", "comment": comment}
    reviewer = row.get("author_user_id")
    return event | {
        "type": "evaluation",
        "name": name,
        "annotator_kind": ANNOTATORS.get(source, "code"),
        "annotator": hashed_user(reviewer, index.salt) if reviewer else None,
        "value": value,
        "label": label,
        "explanation": comment,
    }


def _vote(row: Row, value: float | None, label: str | None, index: Index) -> dict[str, Any] | None:
    """By word, or by where the value stands on the scale that holds all values of this score; None when unclear."""
    if (vote := vote_of(label)) if label else None:
        return {"value": vote}
    if value is None:
        return None
    low, high = index.ranges.get(str(row.get("name")), (value, value))
    if low >= -1 and high <= 1 and value in (-1, 0, 1):
        # Without a negative value among them, 0 and 1 are the two ends of a thumb.
        return {"value": int(value) if low < 0 or value == 1 else -1}
    for scale in SCALES:
        if scale[0] <= low and high <= scale[1]:
            return {"score": value, "scale_min": scale[0], "scale_max": scale[1]}
    return None


def _object(value: Any) -> dict[str, Any] | None:
    content = messages.parsed(value)
    return dict(content) if isinstance(content, dict) and content else None


def milliseconds(value: Any) -> int:
    """Langfuse's times, which are UTC where they do not say so; 0 when there is none."""
    if not isinstance(value, str) or not value:
        return 0
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return 0
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
