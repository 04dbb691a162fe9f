"""Logs in which people leave traces everywhere, and an oracle for which of them are a person's."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event
from keeprate.schemas.forgotten import Forgotten, digest, session_pseudonym
from tests.strategies import events

USER = "u1"
PSEUDONYM = "forgotten-0123456789abcdef"
SECRET = 'schön "secret" \\ \n'
_CONTENT: dict[str, dict[str, Any]] = {
    "generation": {
        "input": [{"role": "user", "content": SECRET}],
        "output": [{"role": "assistant", "content": {"deep": [SECRET]}}] * 2,
        "prompt_variables": {"x": SECRET},
        "parameters": {"stop": SECRET},
        "context_sources": [SECRET],
        "error_message": SECRET,
        "content_mode": "full",
    },
    "flag": {"comment": SECRET},
    "vote": {"comment": SECRET},
    "edit": {"comment": SECRET},
    "retention_check": {"current_text": SECRET},
    "evaluation": {"explanation": SECRET},
}


@st.composite
def personal_logs(draw: st.DrawFn, max_size: int = 20) -> list[Event]:
    """Events of a few people and sessions with content, each with an id of its own."""
    log = []
    for number, event in enumerate(draw(st.lists(events(), min_size=1, max_size=max_size))):
        traces = {
            "event_id": f"0198c0de-0000-7000-8000-{number:012x}",
            "session": draw(st.sampled_from([None, "s1", "s2", "s3"])),
            "trace_id": draw(st.sampled_from([None, "ab" * 16])),
            "external_id": draw(st.sampled_from([None, SECRET])),
            "attributes": draw(st.sampled_from([None, {"note": SECRET}])),
        }
        content: dict[str, Any] = draw(st.sampled_from([{}, _CONTENT.get(event["type"], {})]))
        if event["type"] == "evaluation":
            traces["annotator"] = draw(st.sampled_from([None, USER, "judge", "j\x1fudge"]))
        log.append(validate({**event, **traces, **content}))
    return log


def forgotten(log: Iterable[Event], user: str = USER, app: str = "") -> Forgotten:
    """Who and what is forgotten with a user, as `schemas.forgotten` defines it, found by looking at every event."""
    log = [event for event in log if app in ("", event["app"])]
    theirs = {(event["app"], event.get("session")) for event in log if event.get("user") == user}
    others = {(event["app"], event.get("session")) for event in log if event.get("user") not in (None, user)}
    sessions = [(of, session) for of, session in theirs - others if session]
    return Forgotten(
        {(app, digest(user)): PSEUDONYM},
        {(of, digest(of, session)): session_pseudonym(PSEUDONYM, session) for of, session in sessions},
        {
            (event["app"], event["generation_id"]): PSEUDONYM
            for event in log
            if event["type"] == "generation" and event.get("user") == user
        },
    )
