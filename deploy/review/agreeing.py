"""How well judges, users and experts agree: each judge against what users kept above all, and over time. Pure.

Everybody's word is good or bad (`sinks.reading.voices`). Precision and recall are those of finding what is bad: of what
was called bad, the share that was; of what was bad, the share that was called so.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from keeprate.deploy.review.coefficients import Agreeing, Unit, alpha, kappa, share
from keeprate.sinks.reading.voices import EXPERT_VOTE, Judgements, Said, Side, Word

KEPT: Final = "what users kept"
SAID: Final = "what users said"
EXPERTS: Final = "experts"
ENOUGH: Final = 30
"""Below so many suggestions a number says little, and is shown with that remark."""

Sides = Counter[tuple[str, str]]
"""How often one voice said good or bad where another one did."""


@dataclass(frozen=True)
class Voice:
    """Who speaks: a judge with its evaluation, users by what they kept or said, or the experts."""

    name: str
    evaluation: str = ""

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.name or 'a judge'} on {self.evaluation}" if self.evaluation else self.name


@dataclass(frozen=True)
class JudgesCompared:
    """One voice against another, which is taken for the truth. table: how often each said what, of both sides."""

    voice: Voice
    truth: str
    items: int
    table: Mapping[tuple[str, str], int]
    agreement: Agreeing
    precision: Agreeing
    recall: Agreeing
    kappa: Agreeing


@dataclass(frozen=True)
class Stretch:
    """A comparison with what users kept, of one bucket of time."""

    at_ms: int
    comparison: JudgesCompared


@dataclass(frozen=True)
class Together:
    """Krippendorff's alpha of several raters on one matter. raters: how many there are."""

    title: str
    raters: int
    alpha: Agreeing


@dataclass(frozen=True)
class Agreements:
    """All of it. unread: of each evaluation some words that no scale knows, with how often they were said."""

    comparisons: Sequence[JudgesCompared] = ()
    over_time: Mapping[Voice, Sequence[Stretch]] = field(default_factory=dict)
    together: Sequence[Together] = ()
    reviewers: Sequence[JudgesCompared] = ()
    unread: Mapping[str, tuple[int, Sequence[str]]] = field(default_factory=dict)


def agreements(judged: Sequence[Judgements], said: Sequence[Said], words: Sequence[Word]) -> Agreements:
    """Everybody against everybody, of what the store knows."""
    experts = _experts(words)
    return Agreements(
        comparisons=_comparisons(judged, said, experts),
        over_time=_over_time(judged),
        together=_together(words, experts),
        reviewers=_reviewers(experts),
        unread=_unread(judged),
    )


def compare(voice: Voice, truth: str, sides: Sides) -> JudgesCompared:
    """A voice against another, of how often each said what."""
    table = {(a, b): sides[a, b] for a in ("good", "bad") for b in ("good", "bad")}
    items, found = sum(table.values()), table["bad", "bad"]
    return JudgesCompared(
        voice,
        truth,
        items,
        table,
        agreement=share(table["good", "good"] + found, items),
        precision=share(found, found + table["bad", "good"]),
        recall=share(found, found + table["good", "bad"]),
        kappa=kappa(table),
    )


def _comparisons(
    judged: Sequence[Judgements], said: Sequence[Said], experts: "Sequence[_Item]"
) -> list[JudgesCompared]:
    sides: dict[tuple[Voice, str], Sides] = defaultdict(Counter)
    for row in judged:
        voice = Voice(row.annotator, row.evaluation)
        for truth, side in ((KEPT, row.kept), (SAID, row.said)):
            if row.judge and side:
                sides[voice, truth][row.judge, side] += row.number
    for each in said:
        sides[Voice(SAID), KEPT][each.said, each.kept] += each.number
    for item in experts:
        for (name, annotator), side in item.judges.items():
            if side and item.side:
                sides[Voice(annotator, name), EXPERTS][side, item.side] += 1
        for truth, side in ((KEPT, item.kept), (SAID, item.said)):
            if side and item.side:
                sides[Voice(EXPERTS), truth][item.side, side] += 1
    return [compare(voice, truth, sides[voice, truth]) for voice, truth in sorted(sides, key=_order)]


def _order(key: tuple[Voice, str]) -> tuple[bool, str, str, int]:
    voice, truth = key
    return not voice.evaluation, voice.evaluation, voice.name, (KEPT, SAID, EXPERTS).index(truth)


def _over_time(judged: Iterable[Judgements]) -> dict[Voice, list[Stretch]]:
    sides: dict[Voice, dict[int, Sides]] = defaultdict(lambda: defaultdict(Counter))
    for row in judged:
        if row.judge and row.kept:
            sides[Voice(row.annotator, row.evaluation)][row.bucket_ms][row.judge, row.kept] += row.number
    return {
        voice: [Stretch(at_ms, compare(voice, KEPT, by_time[at_ms])) for at_ms in sorted(by_time)]
        for voice, by_time in sorted(sides.items(), key=lambda each: (each[0].evaluation, each[0].name))
    }


@dataclass(frozen=True)
class _Item:
    """One suggestion that experts judged. experts: the side of each; side: of most of them, '' where they are even."""

    experts: Mapping[str, Side]
    side: Side
    kept: Side
    said: Side
    judges: Mapping[tuple[str, str], Side]


def _experts(words: Iterable[Word]) -> list[_Item]:
    by_item: dict[tuple[str, str, int], list[Word]] = defaultdict(list)
    for word in words:
        by_item[word.app, word.generation_id, word.choice_index].append(word)
    found = []
    for of_item in by_item.values():
        experts = _sides(of_item)
        first = of_item[0]
        judges = {(name, annotator): side for name, annotator, side in first.judges}
        found.append(_Item(experts, _majority(experts.values()), first.kept, first.said, judges))
    return found


def _sides(words: Iterable[Word]) -> dict[str, Side]:
    """Each expert's side: their vote; without one, that of their other words where these agree."""
    by_expert: dict[str, list[Word]] = defaultdict(list)
    for word in words:
        by_expert[word.annotator].append(word)
    found: dict[str, Side] = {}
    for expert, said in by_expert.items():
        sides = {word.side for word in said if word.name == EXPERT_VOTE} or {word.side for word in said if word.side}
        if len(sides) == 1 and (side := sides.pop()):
            found[expert] = side
    return found


def _majority(sides: Iterable[Side]) -> Side:
    counts = Counter(sides)
    good, bad = counts["good"], counts["bad"]
    return "" if good == bad else "good" if good > bad else "bad"


def _together(words: Sequence[Word], experts: Sequence[_Item]) -> list[Together]:
    """Experts with each other, on good or bad and on each evaluation by its labels; and all voices with each other."""
    found = [_of_units("experts, good or bad", [item.experts for item in experts])]
    by_name: dict[str, dict[tuple[str, str, int], dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for word in words:
        if word.name != EXPERT_VOTE:
            by_name[word.name][word.app, word.generation_id, word.choice_index][word.annotator] = word.label
    found += [_of_units(f"experts, {name}", list(by_name[name].values())) for name in sorted(by_name)]
    found.append(_of_units("judges, users and experts", [_all_of(item) for item in experts]))
    return [each for each in found if each.alpha.items]


def _all_of(item: _Item) -> dict[Any, str]:
    voices: dict[Any, str] = {KEPT: item.kept, SAID: item.said, EXPERTS: item.side, **item.judges}
    return {voice: side for voice, side in voices.items() if side}


def _of_units(title: str, units: Sequence[Mapping[Any, str]]) -> Together:
    raters = {rater for unit in units for rater in unit}
    counted: Counter[Unit] = Counter(tuple(sorted(Counter(unit.values()).items())) for unit in units)
    return Together(title, len(raters), alpha(counted))


def _reviewers(experts: Sequence[_Item]) -> list[JudgesCompared]:
    """Each expert against the other experts of the same suggestions, where these are not even."""
    sides: dict[str, Sides] = defaultdict(Counter)
    for item in experts:
        for expert, side in item.experts.items():
            others = _majority(each for name, each in item.experts.items() if name != expert)
            if others:
                sides[expert][side, others] += 1
    return [compare(Voice(expert), EXPERTS, sides[expert]) for expert in sorted(sides)]


def _unread(judged: Iterable[Judgements]) -> dict[str, tuple[int, list[str]]]:
    found: dict[str, tuple[int, list[str]]] = {}
    for row in judged:
        if not row.judge:
            number, words = found.get(row.evaluation, (0, []))
            some = [*words, *(word for word in row.words if word not in words)][:5]
            found[row.evaluation] = (number + row.number, some)
    return found


def as_json(found: Agreements, name_of: Callable[[str], str] = str) -> dict[str, Any]:
    """All of it as JSON. name_of: what a reviewer's pseudonym is called."""
    return {
        "comparisons": [_json(each) for each in found.comparisons],
        "over_time": [
            {
                "judge": voice.name,
                "evaluation": voice.evaluation,
                "title": voice.title,
                "stretches": [{"at": each.at_ms} | _json(each.comparison) for each in stretches],
            }
            for voice, stretches in found.over_time.items()
        ],
        "together": [
            {"title": each.title, "raters": each.raters, "alpha": vars(each.alpha)} for each in found.together
        ],
        "reviewers": [_json(each) | {"reviewer": name_of(each.voice.name)} for each in found.reviewers],
        "unread": [
            {"evaluation": name, "number": number, "words": words} for name, (number, words) in found.unread.items()
        ],
        "enough": ENOUGH,
    }


def _json(each: JudgesCompared) -> dict[str, Any]:
    return {
        "voice": each.voice.title,
        "judge": each.voice.name if each.voice.evaluation else "",
        "evaluation": each.voice.evaluation,
        "truth": each.truth,
        "items": each.items,
        "table": {f"{a}_{b}": number for (a, b), number in each.table.items()},
        **{name: vars(getattr(each, name)) for name in ("agreement", "precision", "recall", "kappa")},
    }
