"""Log events of VS Code's Copilot Chat to actions, votes and retention checks. Pure.

Copilot reports how much of an edit survived as two similarities, without the lengths of the texts. A check that says
"present" needs those, and its means are weighted by them. So its checks are sent as unobserved text, with
reason `similarity_only` and both similarities: they are kept, and enter no rate.
"""

from typing import Final

from keeprate.producers.collector.otel.evaluations import FeedbackError, vote_of
from keeprate.producers.collector.otel.generations import Event, count_of, number_of
from keeprate.producers.collector.otel.messages import name_of, text_of
from keeprate.producers.collector.otel.signals import LogRecord

HORIZONS_S: Final = (15, 30, 60, 120, 300, 600, 900, 1800, 3600)
REASON: Final = "similarity_only"
_ABOUT: Final = (
    "edit_surface",
    "edit_source",
    "participant",
    "language_id",
    "line_count",
    "lines_added",
    "lines_removed",
    "has_remaining_edits",
    "is_notebook",
    "edit_count",
    "edit_line_count",
    "reply_type",
)


def _said(record: LogRecord, event: Event) -> Event:
    attributes = record.attributes
    about = {name: text_of(attributes[name]) for name in _ABOUT if attributes.get(name) not in (None, "")}
    if about:
        event["attributes"] = about
    if request_id := name_of(attributes.get("request_id")):
        event["external_id"] = request_id
    if session := name_of(attributes.get("conversation_id")):
        event["session"] = session
    return event


def _from_edit(record: LogRecord) -> Event:
    """`copilot_chat.edit.feedback`: the user kept or undid all the edits of an answer."""
    return _said(record, {"type": "action", "action": _outcome(record, "accept")})


def _from_hunk(record: LogRecord) -> Event:
    """`copilot_chat.edit.hunk.action`: one hunk of an answer; its lines are its own, so they are no running sum."""
    return _said(record, {"type": "action", "action": _outcome(record, "accept_partial")})


def _outcome(record: LogRecord, accept: str) -> str:
    outcome = record.attributes.get("outcome")
    if outcome == "accepted":
        return accept
    if outcome == "rejected":
        return "reject"
    raise FeedbackError("outcome", f"expected accepted or rejected, not {outcome!r}")


def _from_inline(record: LogRecord) -> Event:
    """`copilot_chat.inline.done`: an inline edit was closed."""
    accepted = record.attributes.get("accepted")
    if not isinstance(accepted, bool):
        raise FeedbackError("accepted", "expected true or false")
    event: Event = {"type": "action", "action": "accept" if accepted else "reject"}
    lines = count_of(record.attributes.get("edit_line_count"))
    if accepted and lines is not None:
        event["lines"] = lines
    return _said(record, event)


def _from_vote(record: LogRecord) -> Event:
    """`copilot_chat.user.feedback`: a thumb."""
    value = vote_of(str(record.attributes.get("rating") or ""))
    if value is None:
        raise FeedbackError("rating", f"expected positive or negative, not {record.attributes.get('rating')!r}")
    return _said(record, {"type": "vote", "value": value})


def _from_survival(record: LogRecord) -> Event | None:
    """`copilot_chat.edit.survival`: the check at the last horizon before its delay; None before the first."""
    attributes = record.attributes
    elapsed_ms = count_of(attributes.get("time_delay_ms"))
    if elapsed_ms is None:
        raise FeedbackError("time_delay_ms", "expected milliseconds since the edit")
    horizon_s = max((horizon for horizon in HORIZONS_S if horizon * 1000 <= elapsed_ms), default=None)
    if horizon_s is None:
        return None
    event: Event = {
        "type": "retention_check",
        "horizon_s": horizon_s,
        "elapsed_ms": elapsed_ms,
        "status": "unobserved",
        "reason": REASON,
        "four_gram": number_of(attributes.get("survival_rate_four_gram")),
        "no_revert": number_of(attributes.get("survival_rate_no_revert")),
        "retained_length": count_of(attributes.get("arc")),
        "branch_changed": attributes.get("did_branch_change") in (True, "true"),
    }
    return _said(record, {name: value for name, value in event.items() if value is not None})


EVENTS: Final = {
    "copilot_chat.edit.feedback": _from_edit,
    "copilot_chat.edit.hunk.action": _from_hunk,
    "copilot_chat.inline.done": _from_inline,
    "copilot_chat.user.feedback": _from_vote,
    "copilot_chat.edit.survival": _from_survival,
}
