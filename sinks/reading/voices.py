"""What judges, users and experts said of the same suggestions, and what users kept, each as good or bad.

A judge's or an expert's word is a label or a number of its own; a `Scale` says which of them is good and which is bad.
What no scale knows takes no side, and is given with its words, so that somebody can say.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from keeprate.sinks.reading import counting
from keeprate.sinks.reading.counting import Counts
from keeprate.sinks.reading.hours import FINAL, Known
from keeprate.sinks.reading.lists.conditions import CHECK_FATES
from keeprate.sinks.reading.measures import JUDGED_AND_KEPT, JUDGED_AND_SAID, SAID, SAID_AND_KEPT
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.reading.splitting import maturity_ms
from keeprate.sinks.store.clickhouse import Client

Side = Literal["good", "bad", ""]
EXPERT_VOTE: Final = "expert_vote"
"""The name of the evaluation in which an expert says good or bad."""
WITHDRAWN: Final = "withdrawn"
"""The label by which a person takes back what they said in an evaluation."""
MOST_WORDS: Final = 20_000
"""Words of experts that are read, those on the newest suggestions first."""
MOST_UNREAD: Final = 5
"""Words of no side that are told, of each judge and bucket."""
_WORDS_AT_ONCE: Final = 1000
_GOOD: Final = (
    *("good", "correct", "pass", "passed", "accept", "accepted", "positive", "helpful", "relevant", "grounded"),
    *("faithful", "safe", "kept", "up"),
)
_BAD: Final = (
    *("bad", "incorrect", "wrong", "fail", "failed", "reject", "rejected", "negative", "unhelpful", "irrelevant"),
    *("ungrounded", "not_grounded", "unfaithful", "unsafe", "removed", "down"),
)


@dataclass(frozen=True)
class Scale:
    """Which of one evaluation's words are good. at_least: from which number on; None where numbers say nothing."""

    good: Sequence[str] = _GOOD
    bad: Sequence[str] = _BAD
    at_least: float | None = None


@dataclass(frozen=True)
class Scales:
    """The scale of each evaluation by its name; of others, words that can mean nothing else count."""

    by_name: Mapping[str, Scale] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(tuple(sorted((name, str(scale)) for name, scale in self.by_name.items())))

    def side(self, name: str, label: str) -> str:
        """SQL: the side that a word takes. name, label: SQL of the evaluation's name and its word."""
        branches = [
            part
            for at, scale in enumerate(self.by_name.values())
            for part in self._branches(at, scale, f"{name} = {{scale_{at}:String}}", label)
        ]
        named = f"{name} NOT IN {{scaled:Array(String)}}"
        branches += self._branches(len(self.by_name), Scale(), named, label)
        return f"multiIf({', '.join(branches)}, '')"

    def _branches(self, at: int, scale: Scale, condition: str, label: str) -> list[str]:
        found = []
        for side in ("good", "bad"):
            found += [f"{condition} AND lower({label}) IN {{{side}_{at}:Array(String)}}", f"'{side}'"]
        if scale.at_least is not None:
            number = f"toFloat64OrNull({label})"
            found += [f"{condition} AND {number} >= {{at_least_{at}:Float64}}", "'good'"]
            found += [f"{condition} AND {number} < {{at_least_{at}:Float64}}", "'bad'"]
        return found

    def parameters(self) -> dict[str, Any]:
        """What `side` refers to."""
        found: dict[str, Any] = {"scaled": list(self.by_name)}
        for at, (name, scale) in enumerate((*self.by_name.items(), ("", Scale()))):
            found |= {f"scale_{at}": name, f"good_{at}": _lower(scale.good), f"bad_{at}": _lower(scale.bad)}
            if scale.at_least is not None:
                found[f"at_least_{at}"] = scale.at_least
        return found


def _lower(words: Sequence[str]) -> list[str]:
    return [word.lower() for word in words]


KEPT: Final = f"multiIf({CHECK_FATES['kept'].sql}, 'good', {CHECK_FATES['not_kept'].sql}, 'bad', '')"
"""The side that a user took by keeping, of a row of `suggestions`; none where nobody looked."""


def kept_parameters(scope: Scope, horizon_s: int) -> dict[str, Any]:
    """What `KEPT` refers to."""
    return {"horizon_s": horizon_s, "due_ms": scope.as_of_ms - maturity_ms(horizon_s, scope.grace_s * 1000)}


@dataclass(frozen=True)
class Judgements:
    """How often one judge took a side where users took theirs by keeping, or else in words, in one bucket of time.

    words: some of what it said, where it took no side.
    """

    bucket_ms: int
    evaluation: str
    annotator: str
    judge: Side
    kept: Side
    said: Side
    number: int
    words: Sequence[str]


@dataclass(frozen=True)
class Said:
    """How often users took one side in words where they took another by keeping."""

    said: Side
    kept: Side
    number: int


@dataclass(frozen=True)
class Word:
    """What one person said of one suggestion in one evaluation, with what users said and kept.

    judges: name, annotator and side of each model that judged it.
    """

    app: str
    generation_id: str
    choice_index: int
    cohort_ms: int
    name: str
    annotator: str
    label: str
    side: Side
    kept: Side
    said: Side
    judges: Sequence[tuple[str, str, Side]]


@dataclass(frozen=True)
class Heard:
    """Counts of what judges and users said: of suggestions, and of checks at one horizon."""

    counts: Sequence[Counts]
    at_horizon: Sequence[Counts]


def heard(client: Client, scope: Scope, horizon_s: int, summed: Known | None = None) -> Heard:
    """What was said in a scope, in its buckets. summed: what is known to be summed of a span that holds the scope's.
    Raises StoreError."""
    asked = replace(scope, by=())
    at_horizon = replace(asked, horizons=[horizon_s])
    return Heard(
        counting.suggestions(client, asked, (JUDGED_AND_SAID,), summed),
        counting.at_horizons(client, at_horizon, (JUDGED_AND_KEPT, SAID_AND_KEPT), summed),
    )


def judgements(client: Client, found: Heard, scales: Scales) -> list[Judgements]:
    """What judges said, counted by what users said and by what they kept, in the scope's buckets. Raises StoreError."""
    numbers = Counter[tuple[int, str, str, str, Side, Side]]()
    for row in found.counts:
        for key, number in row[JUDGED_AND_SAID].items():
            evaluation, annotator, label, said = json.loads(key)
            numbers[row["bucket_ms"], evaluation, annotator, label, "", said] += number
    for row in found.at_horizon:
        for key, number in row[JUDGED_AND_KEPT].items():
            evaluation, annotator, label, kept = json.loads(key)
            numbers[row["bucket_ms"], evaluation, annotator, label, kept, ""] += number
    sides = _sides(client, scales, sorted({(key[1], key[3]) for key in numbers}))
    return _by_side(numbers, sides)


def _by_side(
    found: Mapping[tuple[int, str, str, str, Side, Side], int], sides: Mapping[tuple[str, str], Side]
) -> list[Judgements]:
    """Words of one side are one row; those of no side are told, where they are counted once."""
    numbers, words = Counter[tuple[int, str, str, Side, Side, Side]](), defaultdict[Any, list[str]](list)
    for (bucket_ms, evaluation, annotator, label, kept, said), number in sorted(found.items()):
        side = sides[evaluation, label]
        if not side and kept:
            continue
        key = (bucket_ms, evaluation, annotator, side, kept, said)
        numbers[key] += number
        if not side and len(words[key]) < MOST_UNREAD:
            words[key].append(label)
    return [Judgements(*key, number, words[key]) for key, number in sorted(numbers.items())]


def _sides(client: Client, scales: Scales, words: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Side]:
    """The side of each word of an evaluation."""
    found: dict[tuple[str, str], Side] = {}
    for at in range(0, len(words), _WORDS_AT_ONCE):
        statement = (
            f"SELECT word.1, word.2, {scales.side('word.1', 'word.2')} "
            "FROM (SELECT arrayJoin({words:Array(Tuple(String, String))}) AS word)"
        )
        asked = scales.parameters() | {"words": list(words[at : at + _WORDS_AT_ONCE])}
        found |= {(name, label): side for name, label, side in client.query(statement, asked)}
    return found


def said_and_kept(found: Heard) -> list[Said]:
    """What users said, counted by what they kept, where they said and kept something."""
    numbers = Counter[tuple[Side, Side]]()
    for row in found.at_horizon:
        for key, number in row[SAID_AND_KEPT].items():
            said, kept = json.loads(key)
            numbers[said, kept] += number
    return [Said(said, kept, number) for (said, kept), number in sorted(numbers.items())]


def words(client: Client, scope: Scope, horizon_s: int, scales: Scales) -> list[Word]:
    """What people said in evaluations, with what others said of the same suggestions. Raises StoreError.

    Of each person and evaluation the latest, as outcomes merge them; nothing of what was withdrawn.
    """
    apps = "AND app IN {only_app:Array(String)} " if "app" in scope.only else ""
    ids = (
        "(app, toUInt128(generation_id)) GLOBAL IN (SELECT app, toUInt128(generation_id) FROM feedback "
        f"WHERE type = 'evaluation' AND annotator_kind = 'human' {apps}"
        "AND occurred_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC'))"
    )
    identity = "app, generation_id, choice_index"
    sides = f"arrayMap((n, a, l) -> (n, a, {scales.side('n', 'l')}), judged.evaluation, judged.annotator, judged.label)"
    label = "if(e.label != '', e.label, if(e.has_value = 1, toString(e.value), ''))"
    statement = (
        f"SELECT app, toString(generation_id), choice_index, cohort_ms, e.name AS name, e.annotator, {label} AS word, "
        f"{scales.side('name', 'word')}, kept, said, judges FROM "
        f"(SELECT app::String AS app, {identity[5:]}, arrayJoin(arrayFilter("
        f"x -> x.annotator_kind = 'human' AND x.label != '{WITHDRAWN}', mapValues(evaluations))) AS e "
        f"FROM (SELECT {identity}, evaluations FROM outcomes FINAL PREWHERE {ids})) AS o "
        f"GLOBAL INNER JOIN (SELECT app::String AS app, {identity[5:]}, cohort_ms, {KEPT} AS kept, {SAID} AS said, "
        f"{sides} AS judges FROM suggestions FINAL WHERE {scope.condition()} AND NOT orphan AND {ids}) AS s "
        f"USING ({identity}) ORDER BY cohort_ms DESC, {identity}, name, e.annotator LIMIT {MOST_WORDS}"
    )
    return [Word(*row) for row in client.query(statement, _parameters(scope, horizon_s, scales), FINAL)]


def _parameters(scope: Scope, horizon_s: int, scales: Scales) -> dict[str, Any]:
    return scope.parameters() | kept_parameters(scope, horizon_s) | scales.parameters()


def reviewed(client: Client, generations: Sequence[tuple[str, str]]) -> dict[tuple[str, str, int], frozenset[str]]:
    """Who has given an expert's vote on each choice of some generations, given as (app, generation_id)."""
    if not generations:
        return {}
    statement = (
        "SELECT app::String, toString(generation_id), choice_index, groupUniqArray(e.annotator) FROM "
        "(SELECT app, generation_id, choice_index, arrayJoin(mapValues(evaluations)) AS e FROM (SELECT app, "
        "generation_id, choice_index, evaluations FROM outcomes FINAL PREWHERE (app, toUInt128(generation_id)) IN "
        "(SELECT each.1, toUInt128(toUUID(each.2)) FROM (SELECT arrayJoin({ids:Array(Tuple(String, String))}) AS each)"
        "))) WHERE e.name = {name:String} AND e.annotator_kind = 'human' AND e.label != {withdrawn:String} "
        "GROUP BY app, generation_id, choice_index"
    )
    parameters = {"ids": list(generations), "name": EXPERT_VOTE, "withdrawn": WITHDRAWN}
    rows = client.query(statement, parameters, FINAL)
    return {(app, generation_id, choice): frozenset(who) for app, generation_id, choice, who in rows}
