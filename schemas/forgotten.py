"""What stays of an event, an outcome or a dead letter of a person who is forgotten. Pure.

Content goes: texts, messages, variables, attributes, names of documents, and ids that lead to other systems. What is
counted stays: times, kinds, lengths, distances, verdicts. The user becomes a pseudonym drawn at random, one for each
user and session, so that two of them never become one and every count of users stays what it was.

    an event of the person    it names the user as its user or annotator, or it names no user and is of a session of
                              theirs, or of a generation of theirs
    a dead letter of theirs   its bytes hold the user, or they name no user and hold such a session or generation

**Invariant:** an event lifts to the same outcome, up to the names, before and after: forgetting and merging commute.
**Invariant:** what is kept is named; a field that is added to an event goes until somebody decides that it may stay.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

from keeprate.schemas.events import Event
from keeprate.schemas.kinds import MAX_CHOICES
from keeprate.schemas.outcome import SEPARATOR, Outcome
from keeprate.schemas.registers import EVALUATION, GENERATION

KEPT: Final = frozenset((
    *("event_id", "schema_version", "occurred_at", "app", "environment", "generation_id", "choice_index", "revision"),
    # Random numbers of a process: the accounts need them.
    *("producer_id", "producer_seq", "type"),
    *("operation", "surface", "language", "trigger", "provider", "model", "prompt_name", "prompt_version"),
    *("context_strategy", "tools_offered", "tools_called", "input_tokens", "output_tokens", "cost_usd", "latency_ms"),
    *("time_to_first_token_ms", "finish_reason", "error_type", "outcome", "parent_generation_id", "step"),
    *("experiment", "variant", "action", "length", "lines", "dwell_ms", "accept_seq", "accept_mode", "formatted"),
    *("label", "status", "severity", "valence", "value", "score", "scale_min", "scale_max", "origin"),
    *("original_length", "corrected_length", "current_length", "distance", "horizon_s", "moment", "elapsed_ms"),
    *("reason", "original_lexemes", "lexeme_distance", "four_gram", "no_revert", "retained_length", "total_length"),
    *("branch_changed", "range_clipped", "name", "annotator_kind"),
))  # fmt: skip
"""Of an event of the person, as they are."""
REPLACED: Final = frozenset((
    "user", "session", "annotator", "attributes", "choice_count", "content_mode", "corrected_text"
))  # fmt: skip
"""Of these something else stays, where a count or a rule of the contract needs it."""
MARK: Final = "keeprate.forgotten"
"""The attribute that says why an event has no content; its value is the pseudonym."""
ERASED: Final = "forgotten: the record held a user who is forgotten"
"""The reason of a dead letter whose bytes are gone."""

_USER, _SESSION, _TRACE = GENERATION.places("user", "session", "trace_id")
(_ANNOTATOR,) = EVALUATION.places("annotator")
# A broken record is searched for anything that can be a user: words, and whatever stands between two quotes, of which
# nobody knows which one opens.
WORDS: Final = r"[A-Za-z0-9_.@+:-]+"
QUOTE: Final = '"'
# As JSON's own member, not within a text: there the quotes have backslashes.
NAMES_USER: Final = r'"user"\s*:\s*"'
# Within JSON within JSON an escape has more backslashes, and a string any number of them before its quotes.
ESCAPED: Final = r"\\+u([0-9a-fA-F]{4})"
QUOTED: Final = r"\\+([\"/])"
BACKSLASH: Final = "005c"
# Also of a record that is broken elsewhere: within a string of JSON the quotes would have a backslash.
PRODUCER_ID: Final = r'"producer_id"\s*:\s*"([^"\\]*)"'
PRODUCER_SEQ: Final = r'"producer_seq"\s*:\s*(\d{1,18})'
CUT_DIGEST: Final = r", sha256 [0-9a-f]{64}"
"""Of a letter that was cut: whoever has the record could tell by it that it was this person's."""
_PRODUCER: Final = tuple(re.compile(pattern.encode()) for pattern in (PRODUCER_ID, PRODUCER_SEQ))
_WORDS, _NAMES_USER = re.compile(WORDS.encode()), re.compile(NAMES_USER.encode())
_ESCAPED, _QUOTED = re.compile(ESCAPED.encode()), re.compile(QUOTED.encode())


def digest(*parts: str) -> str:
    """How a user or session is known here once they are forgotten: SHA-256 in hexadecimal, the parts joined."""
    return hashlib.sha256(SEPARATOR.join(parts).encode()).hexdigest()


def unescaped(text: bytes) -> bytes:
    """Text that may be JSON without its escapes, at whatever depth: `\\u0040` is an @, and `\\"` a quote."""

    def character(found: re.Match[bytes]) -> bytes:
        code = found[1].decode()
        return found[0] if code.lower() == BACKSLASH else chr(int(code, 16)).encode("utf-8", "ignore")

    return _QUOTED.sub(rb"\1", _ESCAPED.sub(character, text))


def refused_stub(value: bytes | None) -> bytes | None:
    """What stays of a refused record's bytes: who sent it and its number, for the accounts. None without them."""
    found = [pattern.search(value or b"") for pattern in _PRODUCER]
    if found[0] is None or found[1] is None:
        return None
    return b'{"producer_id":"%b","producer_seq":%b}' % (found[0][1], found[1][1])


def without_digest(cut: str) -> str:
    """What a dead letter says of what was cut off, without the digest of the whole."""
    return re.sub(CUT_DIGEST, "", cut)


def session_pseudonym(person: str, session: str) -> str:
    """The name of a session of the person with this pseudonym."""
    return f"{person}-{digest(person, session)[:12]}"


@dataclass(frozen=True)
class PersonTrace:
    """A session or generation that an event of a forgotten person named, and of which nobody knew that it is theirs.

    name: of the session, or the generation's id. person: the digest of the user, whose pseudonym is given too.
    """

    kind: Literal["session", "generation"]
    app: str
    name: str
    person: str
    pseudonym: str

    @property
    def key(self) -> str:
        """What it is noted by."""
        return digest(self.app, self.name) if self.kind == "session" else self.name

    @property
    def noted_as(self) -> str:
        """The pseudonym that is noted with it."""
        return session_pseudonym(self.pseudonym, self.name) if self.kind == "session" else self.pseudonym


@dataclass(frozen=True)
class Forgotten:
    """Everybody who is forgotten.

    users: pseudonym by (app, digest of the user); app '' is every app.
    sessions: pseudonym by (app, `digest(app, session)`).
    generations: the person's pseudonym by (app, generation_id).
    """

    users: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sessions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    generations: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.users)

    def user(self, app: str, user: str | None) -> str | None:
        """The user's pseudonym; None for anybody else."""
        if not user:
            return None
        known = digest(user)
        return self.users.get((app, known)) or self.users.get(("", known))

    def session(self, app: str, session: str | None) -> str | None:
        """The session's pseudonym; None for one of anybody else."""
        return self.sessions.get((app, digest(app, session))) if session else None

    def traces(self, event: Event) -> Iterator[PersonTrace]:
        """What an event tells of the person that is not known yet."""
        generation_id = event["generation_id"] if event["type"] == "generation" else None
        return self._traces(event["app"], event.get("user"), event.get("session"), generation_id)

    def traces_of_outcome(self, app: str, generation_id: str, outcome: Outcome) -> Iterator[PersonTrace]:
        """What an outcome's generation tells of the person that is not known yet."""
        register = outcome.get("generation")
        return self._traces(app, register[_USER], register[_SESSION], generation_id) if register else iter(())

    def _traces(
        self, app: str, user: str | None, session: str | None, generation_id: str | None
    ) -> Iterator[PersonTrace]:
        pseudonym = self.user(app, user)
        if pseudonym is None or user is None:
            return
        if session and not self.session(app, session):
            yield PersonTrace("session", app, session, digest(user), pseudonym)
        if generation_id and (app, generation_id) not in self.generations:
            yield PersonTrace("generation", app, generation_id, digest(user), pseudonym)

    def event(self, event: Event) -> Event:
        """What stays of an event; the same object where it is not the person's."""
        app, user, annotator = event["app"], event.get("user"), event.get("annotator")
        named, judged = self.user(app, user), self.user(app, str(annotator or ""))
        session = self.session(app, event.get("session")) if named or not user else None
        owner = None if user else self._owner(event)
        person = named or session or judged or owner
        if person is None:
            return event
        replaced = {
            "user": named or user,
            # A session that others have too is not the person's alone, and says nothing once the user is another.
            "session": session or (None if named else event.get("session")),
            "annotator": judged or annotator,
            "attributes": {MARK: person},
            **_stubs(event),
        }
        body: Any = {name: value for name, value in (event | replaced).items() if name in KEPT | REPLACED}
        return {name: value for name, value in body.items() if value is not None}  # type: ignore[return-value]

    def _owner(self, event: Event) -> str | None:
        """Whose generation it is of; None where the mark says that nothing is left to forget."""
        owner = self.generations.get((event["app"], event["generation_id"]))
        marked = (event.get("attributes") or {}).get(MARK, "")
        return None if owner and marked.startswith(owner) else owner

    def outcome(self, app: str, generation_id: str, outcome: Outcome) -> Outcome:
        """What stays of an outcome; the same object where it holds nothing of the person."""
        changed: Outcome = {}
        register = outcome.get("generation")
        if register is not None:
            changed["generation"] = self._generation(app, generation_id, register)
        for name, rename in (("votes", self._who), ("corrections", self._who), ("flags", self._flag)):
            if name in outcome:
                changed[name] = {rename(app, key): value for key, value in outcome[name].items()}
        if "evaluations" in outcome:
            changed["evaluations"] = dict(self._evaluation(app, *item) for item in outcome["evaluations"].items())
        return outcome if all(outcome[name] == value for name, value in changed.items()) else outcome | changed

    def bytes_hold_person(self, parts: list[bytes], app: str = "") -> bool:
        """Whether bytes that may be no event hold something of a forgotten person.

        app: whose bytes they are, where that is known. A user of one app counts where its name is there too.
        """
        raw = QUOTE.encode().join(parts)
        text = QUOTE.encode().join((raw, unescaped(raw)))
        quoted = _texts(text.split(QUOTE.encode()))
        digests = {digest(token) for token in quoted | _texts(_WORDS.findall(text))}
        if any(known in digests and (not of or of.encode() in text) for of, known in self.users):
            return True
        return not _NAMES_USER.search(raw) and any(self._is_theirs(app, token) for token in quoted if token)

    def _is_theirs(self, app: str, name: str) -> bool:
        apps = (app,) if app else self._apps
        return any(self.session(each, name) or (each, name.lower()) in self.generations for each in apps)

    @cached_property
    def _apps(self) -> tuple[str, ...]:
        return tuple({app for app, _ in (*self.sessions, *self.generations)})

    def _generation(self, app: str, generation_id: str, register: list[Any]) -> list[Any]:
        user, session = register[_USER], register[_SESSION]
        named = self.user(app, user)
        known = self.session(app, session) if named or not user else None
        erases = bool(named or (not user and (known or (app, generation_id) in self.generations)))
        return GENERATION.forgotten(register, named or user, known or ("" if named else session), erases)

    def _who(self, app: str, key: str) -> str:
        return self.user(app, key) or self.session(app, key) or key

    def _flag(self, app: str, key: str) -> str:
        label, _, who = key.partition(SEPARATOR)
        return f"{label}{SEPARATOR}{self._who(app, who)}"

    def _evaluation(self, app: str, key: str, register: list[Any]) -> tuple[str, list[Any]]:
        judged = self.user(app, register[_ANNOTATOR])
        if judged is None:
            return key, register
        return key.removesuffix(register[_ANNOTATOR]) + judged, EVALUATION.forgotten(register, judged)


NOBODY: Final = Forgotten()


def _texts(parts: Iterable[bytes]) -> set[str]:
    return {part.decode("utf-8", "replace") for part in parts}


def _stubs(event: Event) -> dict[str, Any]:
    """What has to stand where content was, so that the event is valid and counts as before."""
    if event["type"] == "generation":
        implied = (event.get("choice_count") or 1, len(event.get("output") or ()), (event.get("choice_index") or 0) + 1)
        return {"choice_count": min(max(implied), MAX_CHOICES), "content_mode": "off"}
    if event["type"] == "edit":
        return {"corrected_text": "" if event.get("distance") is None else None}
    return {}
