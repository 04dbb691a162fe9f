"""What a check found: all is well, a thing to know, or a fault that stops something; with what to do."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Diagnosis:
    """One check's word. subject: of what, as `kafka topics`. remedy: empty where all is well."""

    subject: str
    state: State
    said: str
    remedy: str = ""


def ok(subject: str, said: str) -> Diagnosis:
    """All is well."""
    return Diagnosis(subject, "ok", said)


def note(subject: str, said: str, remedy: str) -> Diagnosis:
    """Something to know; nothing is stopped by it."""
    return Diagnosis(subject, "note", said, remedy)


def fault(subject: str, said: str, remedy: str) -> Diagnosis:
    """Something is stopped by it, or will be."""
    return Diagnosis(subject, "fault", said, remedy)
