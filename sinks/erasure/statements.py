"""What `schemas.forgotten` does to an event, an outcome and a dead letter, in ClickHouse's words. Pure.

The statements rewrite rows where they are, because only a mutation leaves no moment in which a row is missing, or there
twice, or merged with what it was. They hold digests and pseudonyms only: ClickHouse keeps the text of a mutation.
Parameters of every statement: person (the digest of the user), app ('' for all), pseudonym.

Where the store has shards, what looks (`LEARN`, `SHARED`, `count`, `close_letters`) is asked of all of them at once,
and what rewrites is run on each, where `forgotten` has a copy of what is noted of the person.
"""

from collections.abc import Iterable
from typing import Final

from keeprate.schemas.forgotten import (
    BACKSLASH,
    CUT_DIGEST,
    ERASED,
    ESCAPED,
    KEPT,
    MARK,
    NAMES_USER,
    PRODUCER_ID,
    PRODUCER_SEQ,
    QUOTE,
    QUOTED,
    WORDS,
)
from keeprate.schemas.kinds import MAX_CHOICES
from keeprate.schemas.registers import EVALUATION, GENERATION

TABLES: Final = ("generations", "feedback", "outcomes", "suggestions", "dead_letters")
_FACTS: Final = ("generations", "feedback")
_SEPARATOR: Final = "char(31)"
_GROUP: Final = "concat(char(92), '1')"


def _digest(*parts: str) -> str:
    joined = f"concat({f', {_SEPARATOR}, '.join(parts)})" if len(parts) > 1 else parts[0]
    return f"lower(hex(SHA256({joined})))"


def _is_user(value: str) -> str:
    return f"({value} != '' AND {_digest(value)} = {{person:String}})"


_IN_APP: Final = "({app:String} = '' OR app = {app:String})"
_SESSION_NAME: Final = (
    "concat({{pseudonym:String}}, '-', "
    "substring(lower(hex(SHA256(concat({{pseudonym:String}}, char(31), {0})))), 1, 12))"
)
# A suggestion has the session for a user where no user is known.
_NAMELESS: Final = "(user = session)"
_EVERY_FACT: Final = " UNION ALL ".join(f"SELECT app::String AS app, user, session FROM {table}" for table in _FACTS)
# Of somebody else's events too, a session is not the person's.
_SESSIONS: Final = (
    f"SELECT app, session FROM ({_EVERY_FACT}) WHERE {_IN_APP} AND session GLOBAL IN ("
    f"SELECT session FROM ({_EVERY_FACT}) WHERE {_IN_APP} AND session != '' AND {_is_user('user')}) "
    f"GROUP BY app, session HAVING countIf({_is_user('user')}) > 0 "
    f"AND countIf(user != '' AND NOT {_is_user('user')}) = 0"
)
_GENERATIONS: Final = (
    f"SELECT DISTINCT app::String AS app, toString(generation_id) AS id FROM generations "
    f"WHERE {_IN_APP} AND {_is_user('user')}"
)
_KNOWN: Final = "SELECT {0} FROM forgotten WHERE person = {{person:String}} AND kind = '{1}'"

LEARN: Final = (
    "INSERT INTO forgotten (kind, app, key, pseudonym, person) "
    f"SELECT 'session', app, {_digest('app', 'session')} AS key, {_SESSION_NAME.format('session')}, {{person:String}} "
    f"FROM ({_SESSIONS}) WHERE key GLOBAL NOT IN (SELECT key FROM forgotten WHERE kind = 'session')",
    "INSERT INTO forgotten (kind, app, key, pseudonym, person) "
    f"SELECT 'generation', app, id, {{pseudonym:String}}, {{person:String}} FROM ({_GENERATIONS}) "
    "WHERE (app, id) GLOBAL NOT IN (SELECT app, key FROM forgotten WHERE kind = 'generation')",
)
"""Note which sessions and generations are the person's, before their rows no longer say so."""

SHARED: Final = (
    f"SELECT count() > 0 FROM ({_EVERY_FACT}) WHERE app = {{of:String}} AND user NOT IN ('', {{pseudonym:String}}) "
    f"AND NOT {_is_user('user')} AND {_digest('app', 'session')} = {{key:String}}"
)
"""Whether others have events of a session. Parameters: as above, and of the session its app (of) and digest (key)."""
UNFINISHED: Final = (
    "SELECT app, key, argMin(pseudonym, forgotten_at), max(noted), max(done), now64(3, 'UTC') FROM forgotten "
    "GLOBAL INNER JOIN (SELECT person, max(forgotten_at) AS noted FROM forgotten GROUP BY person) AS notes "
    "ON notes.person = forgotten.key GLOBAL LEFT JOIN (SELECT person, max(forgotten_at) AS done FROM forget_receipts "
    "GROUP BY person) AS receipts ON receipts.person = forgotten.key WHERE kind = 'user' GROUP BY app, key"
)
"""Everybody: when something was last noted of them, when their rows were last rewritten, and the time now."""


class Statements:
    """The statements of one pass. looks: also take what LEARN would note, for a look that notes nothing."""

    def __init__(self, looks: bool = False) -> None:
        sessions, generations = _KNOWN.format("key", "session"), _KNOWN.format("app, key", "generation")
        apps = "SELECT app FROM forgotten WHERE person = {person:String} AND kind != 'user'"
        if looks:
            sessions += f" UNION ALL SELECT {_digest('app', 'session')} FROM ({_SESSIONS})"
            generations += f" UNION ALL {_GENERATIONS}"
            apps += f" UNION ALL SELECT app FROM ({_SESSIONS}) UNION ALL SELECT app FROM ({_GENERATIONS})"
        self._sessions = sessions
        self._generations = generations
        self._apps = apps

    def count(self, table: str) -> str:
        """How many rows hold something of the person."""
        return f"SELECT count() FROM {table} WHERE {self.where(table)}"

    def close_letters(self) -> str:
        """Nothing is left of the person's dead letters to replay."""
        return (
            "INSERT INTO dead_letter_actions (topic, partition, offset, recorded_at, action, note) SELECT topic, "
            f"partition, offset, recorded_at, 'dropped', 'forgotten' FROM dead_letters FINAL WHERE {self._in_letter()}"
        )

    def rewrite(self, table: str) -> str:
        """Take the person out of a table. Returns when it is done."""
        own = {"outcomes": self._outcome, "suggestions": self._suggestion, "dead_letters": _letter}
        changes = own.get(table, lambda: self._fact(table))()
        assignments = ", ".join(f"{column} = {value}" for column, value in changes.items())
        return f"ALTER TABLE {table} UPDATE {assignments} WHERE {self.where(table)} SETTINGS {_SETTINGS}"

    def where(self, table: str) -> str:
        """Whether a row of the table holds something of the person."""
        if table == "outcomes":
            return f"{_IN_APP} AND ({self._in_outcome()})"
        if table == "suggestions":
            return f"{_IN_APP} AND ({self._in_suggestion()})"
        if table == "dead_letters":
            return self._in_letter()
        parts = [_is_user("user")] + [_is_user("annotator")] * (table == "feedback")
        mark = f"JSONExtractString(event, 'attributes', '{MARK}')"
        unmarked = f"NOT startsWith({mark}, {{pseudonym:String}})"
        nameless = f"user = '' AND ({self._is_session('session')} OR ({self._is_owned()} AND {unmarked}))"
        return f"{_IN_APP} AND ({' OR '.join(parts)} OR ({nameless}))"

    def _is_session(self, value: str) -> str:
        return f"({value} != '' AND {_digest('app', value)} GLOBAL IN ({self._sessions}))"

    def _is_owned(self) -> str:
        return f"(app::String, toString(generation_id)) GLOBAL IN ({self._generations})"

    def _session_after(self, user: str, session: str) -> str:
        is_known = f"({user} = '' OR {_is_user(user)}) AND {self._is_session(session)}"
        return f"multiIf({is_known}, {_SESSION_NAME.format(session)}, {_is_user(user)}, '', {session})"

    def _who(self, value: str) -> str:
        known = f"{self._is_session(value)}, {_SESSION_NAME.format(value)}"
        return f"multiIf({_is_user(value)}, {{pseudonym:String}}, {known}, {value})"

    def _fact(self, table: str) -> dict[str, str]:
        user, session = _user_after("user"), self._session_after("user", "session")
        gone: dict[str, str] = dict.fromkeys(("external_id", "trace_id", "span_id"), "''")
        if table == "generations":
            choices = (
                f"toUInt16(least({MAX_CHOICES}, greatest(ifNull(choice_count, 1), JSONLength(event, 'output'), "
                "choice_index + 1)))"
            )
            stubs = [f"concat('\"choice_count\":', toString({choices}))", '\'"content_mode":"off"\'']
            gone |= {"context_sources": "[]", "content_mode": "'off'", "choice_count": choices}
        else:
            stubs = ["if(type = 'edit' AND distance IS NULL, '\"corrected_text\":\"\"', '')"]
            stubs += [_text("annotator", _user_after("annotator"))]
            gone |= {"comment": "''", "annotator": _user_after("annotator")}
        # The name that is marked tells rows of a session from those of the user, as in Python.
        mark = f"if(user = '' AND {self._is_session('session')}, {session}, {{pseudonym:String}})"
        stubs += [_text("user", user), _text("session", session)]
        stubs += [f"concat('\"attributes\":{{\"{MARK}\":', toJSONString({mark}), '}}')"]
        return {"event": _event(stubs), "user": user, "session": session, **gone}

    def _in_letter(self) -> str:
        headers = f"arrayStringConcat(arrayMap(h -> ifNull(h.2, ''), headers), {quoted(QUOTE)})"
        raw = f"concat(ifNull(key, ''), {quoted(QUOTE)}, ifNull(value, ''), {quoted(QUOTE)}, {headers})"
        text = f"concat({raw}, {quoted(QUOTE)}, {_unescaped(raw)})"
        strings = f"splitByChar({quoted(QUOTE)}, {text})"
        tokens = f"arrayDistinct(arrayConcat(extractAll({text}, {quoted(WORDS)}), {strings}))"
        in_app = f"({{app:String}} = '' OR position({text}, {{app:String}}) > 0)"
        apps = f"if(app != '', [app::String], (SELECT groupUniqArray(app) FROM ({self._apps})))"
        of_session = f"{_digest('a', 't')} GLOBAL IN ({self._sessions})"
        theirs = f"a -> {of_session} OR (a, lower(t)) GLOBAL IN ({self._generations})"
        nameless = f"NOT match({raw}, {quoted(NAMES_USER)})"
        held = f"arrayExists(t -> t != '' AND arrayExists({theirs}, {apps}), arrayDistinct({strings}))"
        return f"({in_app} AND arrayExists(t -> {_is_user('t')}, {tokens})) OR ({nameless} AND {held})"

    def _in_suggestion(self) -> str:
        user = f"{_is_user('user')} OR {self._is_session('user')} OR {self._is_session('session')}"
        judged = f"arrayExists(a -> {_is_user('a')}, judged.annotator)"
        return f"{user} OR ({self._is_owned()} AND {_NAMELESS} AND trace_id != '') OR {judged}"

    def _suggestion(self) -> dict[str, str]:
        owned = f"({_NAMELESS} AND ({self._is_session('session')} OR {self._is_owned()}))"
        return {
            "user": self._who("user"),
            "session": self._session_after(f"if({_NAMELESS}, '', user)", "session"),
            "trace_id": f"if({_is_user('user')} OR {owned}, '', trace_id)",
            "`judged.annotator`": f"arrayMap(a -> {_user_after('a')}, judged.annotator)",
        }

    def _in_outcome(self) -> str:
        user, session = "generation.user", "generation.session"
        nameless = f"{self._is_session(session)} OR ({self._is_owned()} AND generation.trace_id != '')"
        maps = [
            f"arrayExists(k -> {_is_user(key)} OR {self._is_session(key)}, mapKeys({name}))"
            for name, key in (("votes", "k"), ("corrections", "k"), ("flags", _FLAGGER))
        ]
        judged = f"arrayExists(e -> {_is_user('e.annotator')}, mapValues(evaluations))"
        return " OR ".join((_is_user(user), f"({user} = '' AND ({nameless}))", *maps, judged))

    def _outcome(self) -> dict[str, str]:
        user, session = "generation.user", "generation.session"
        owned = f"({user} = '' AND ({self._is_session(session)} OR {self._is_owned()}))"
        after = {"user": _user_after(user), "session": self._session_after(user, session)}
        after |= {
            column.name: f"if({_is_user(user)} OR {owned}, {column.default!r}, generation.{column.name})"
            for column in GENERATION.columns
            if column.forget == "erase"
        }
        names = [column.name for column in GENERATION.columns]
        register = ", ".join(after.get(name, f"generation.{name}") for name in names)
        flag_key = f"concat(substring(k, 1, position(k, {_SEPARATOR})), {self._who(_FLAGGER)})"
        annotator = _user_after("e.annotator")
        parts = ", ".join(f"e.{column.name}" if column.forget == "keep" else annotator for column in EVALUATION.columns)
        evaluation_key = f"arrayStringConcat([e.name, e.annotator_kind, {annotator}], {_SEPARATOR})"
        return {
            "generation": f"tuple({register})",
            "votes": _renamed("votes", self._who("k")),
            "corrections": _renamed("corrections", self._who("k")),
            "flags": _renamed("flags", flag_key),
            "evaluations": f"mapFromArrays(arrayMap(e -> {evaluation_key}, mapValues(evaluations)), "
            f"arrayMap(e -> tuple({parts}), mapValues(evaluations)))",
        }


# Where the table has copies, each of them looks up who is forgotten itself, once all know the same.
_SETTINGS: Final = "mutations_sync = 2, allow_nondeterministic_mutations = 1"
_FLAGGER: Final = f"substring(k, position(k, {_SEPARATOR}) + 1)"


def _user_after(value: str) -> str:
    return f"if({_is_user(value)}, {{pseudonym:String}}, {value})"


def _renamed(column: str, key: str) -> str:
    return f"mapFromArrays(arrayMap(k -> {key}, mapKeys({column})), mapValues({column}))"


def _text(name: str, value: str) -> str:
    """A member of the event's JSON; '' where there is nothing to say."""
    return f"if({value} = '', '', concat('\"{name}\":', toJSONString({value})))"


def _event(stubs: Iterable[str]) -> str:
    """The members that stay, as they were sent, and those that stand in for others."""
    kept = ", ".join(f"'{name}'" for name in sorted(KEPT))
    members = (
        "arrayMap(m -> concat(toJSONString(m.1), ':', m.2), "
        f"arrayFilter(m -> m.1 IN ({kept}) AND m.2 != 'null', JSONExtractKeysAndValuesRaw(event)))"
    )
    added = f"arrayFilter(s -> s != '', [{', '.join(stubs)}])"
    return f"concat('{{', arrayStringConcat(arrayConcat({members}, {added}), ','), '}}')"


def _unescaped(text: str) -> str:
    codes = f"arrayFilter(c -> lower(c) != '{BACKSLASH}', arrayDistinct(extractAll({text}, {quoted(ESCAPED)})))"
    pattern = f"concat({quoted(ESCAPED.partition('(')[0])}, c)"
    character = "JSONExtractString(concat('\"', char(92), 'u', c, '\"'))"
    characters = f"arrayFold((t, c) -> replaceRegexpAll(t, {pattern}, {character}), {codes}, {text})"
    return f"replaceRegexpAll({characters}, {quoted(QUOTED)}, {_GROUP})"


def _letter() -> dict[str, str]:
    producer, seq = (f"extract(ifNull(value, ''), {quoted(pattern)})" for pattern in (PRODUCER_ID, PRODUCER_SEQ))
    stub = f"concat('{{\"producer_id\":\"', {producer}, '\",\"producer_seq\":', {seq}, '}}')"
    value = f"if({producer} = '' OR {seq} = '', NULL, {stub})"
    cut = f"replaceRegexpAll(cut, {quoted(CUT_DIGEST)}, '')"
    return {"key": "NULL", "value": value, "headers": "[]", "reason": f"'{ERASED}'", "cut": cut}


def quoted(text: str) -> str:
    """A literal of ClickHouse's."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
