"""Verdicts: what a collector's answer to a batch says of its records. Pure.

    Settled   202, 207, or an answer that lists what it refuses: each record is in Kafka, or refused for what it is
    Smaller   413: the batch is more than is taken at once
    Wait      anything else: the same records again, later

Only what a collector says of a record itself ends that record. A key that was revoked, a proxy's own page, an answer
that cannot be read: all of these may be mended from outside, so the events wait.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

LONGEST_WAIT_S: Final = 3_600.0
"""Longer than any answer of a collector asks for: a quota of users fills up within the hour."""
_SHOWN_CHARS: Final = 300
_TOO_LARGE: Final = 413


class Refused(NamedTuple):
    """What one record was refused for: `error` from the collector's closed set, with the field; `reason` in words."""

    error: str
    reason: str


@dataclass(frozen=True)
class Settled:
    """Every record of the batch has its answer. refused: by index in the batch; all others are in Kafka."""

    refused: Mapping[int, Refused]


@dataclass(frozen=True)
class Smaller:
    """The batch is to be cut; a single record that is still too large is refused."""

    refused: Refused


@dataclass(frozen=True)
class Wait:
    """The same records are to be sent again. after_s: how long the answer asks to wait, if it does."""

    error: str
    after_s: float | None = None


Verdict = Settled | Smaller | Wait


def judge(status: int, retry_after: str | None, body: bytes, count: int, now: datetime) -> Verdict:
    """The verdict on a batch of `count` records, from the answer's status, Retry-After and body."""
    said = _object(body)
    refused = _refused(said, count)
    if refused is not None and (status in (202, 207) or 400 <= status < 500):
        return Settled(refused)
    error = f"HTTP {status} {said.get('error_type', '')}".strip()
    if reason := said.get("reason"):
        error = f"{error}: {reason}"
    error = error[:_SHOWN_CHARS]
    if status == _TOO_LARGE:
        return Smaller(Refused("too_large", error))
    return Wait(error, _seconds(retry_after, now))


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        # A page of a proxy, for example; the status says the rest.
        return {}
    return found if isinstance(found, dict) else {}


def _refused(said: Mapping[str, Any], count: int) -> dict[int, Refused] | None:
    """What the answer refuses, by index; None where it does not account for every record of the batch."""
    errors = said.get("errors")
    if not isinstance(errors, list) or said.get("accepted") != count - len(errors):
        return None
    refused = {}
    for each in errors:
        if not isinstance(each, dict) or type(index := each.get("index")) is not int or not 0 <= index < count:
            return None
        error = f"{each.get('error_type', 'refused')} {each.get('field', '')}".strip()
        refused[index] = Refused(error[:_SHOWN_CHARS], str(each.get("reason", ""))[:_SHOWN_CHARS])
    return refused if len(refused) == len(errors) else None


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """What a Retry-After asks for, as seconds or as a date; None where it says neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isdecimal() and text.isascii():
        return min(float(text[:9]), LONGEST_WAIT_S)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - now).total_seconds()), LONGEST_WAIT_S)
