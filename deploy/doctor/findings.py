"""What a check found: all is well, a thing to know, or a fault that stops something; with what to do."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """One check's word. subject: of what, as `kafka topics`. remedy: empty where all is well."""

    subject: str
    state: State
    said: str
    remedy: str = ""


def ok(subject: str, said: str) -> Finding:
    """All is well."""
    return Finding(subject, "ok", said)


def note(subject: str, said: str, remedy: str) -> Finding:
    """Something to know; nothing is stopped by it."""
    return Finding(subject, "note", said, remedy)


def fault(subject: str, said: str, remedy: str) -> Finding:
    """Something is stopped by it, or will be."""
    return Finding(subject, "fault", said, remedy)
