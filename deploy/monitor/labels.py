"""Bounded labels: which values of a label Prometheus may see, and what becomes of the rest.

A value that was admitted stays: were it folded later, `other` would jump by all that it had counted. Only a prompt's
versions give way, because a new version is the one to watch: the newest three are seen, and what an older one counts
from then on goes to `other`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, field, fields, replace
from typing import Final, TypeVar

from keeprate.sinks.closed.batches import UNKNOWN, Count, Labels
from keeprate.sinks.closed.signals import JUDGE

OTHER: Final = "other"


@dataclass(frozen=True)
class LabelLimits:
    """How many values of each label there may be, besides unknown and other. versions: per app and prompt."""

    apps: int = 5
    prompts: int = 50
    versions: int = 3
    models: int = 8
    surfaces: int = 5
    languages: int = 8
    strategies: int = 5
    judges: int = 5


@dataclass
class Admission:
    """The values admitted so far, in the order in which they were first seen."""

    limits: LabelLimits = field(default_factory=LabelLimits)
    _seen: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def remember(self, labels: Labels) -> None:
        """Take up a series that is exported already, the oldest first."""
        for key, value in _places(labels):
            if value not in (UNKNOWN, OTHER) and value not in self._seen.setdefault(key, []):
                self._seen[key].append(value)

    def fold(self, labels: Labels) -> tuple[Labels, list[str]]:
        """The labels as Prometheus may see them, and the names of those that were folded."""
        named = Labels(*(value or UNKNOWN for value in _values(labels)))
        app = self.app(named.app)
        prompt = self._admit(("prompt",), named.prompt, self.limits.prompts)
        model = self._admit(("model",), named.model, self.limits.models)
        surface = self._admit(("surface",), named.surface, self.limits.surfaces)
        version = self._version(app, prompt, named.prompt_version)
        language = self._admit(("language",), named.language, self.limits.languages)
        strategy = self._admit(("context_strategy",), named.context_strategy, self.limits.strategies)
        folded = Labels(app, prompt, version, model, surface, language, strategy)
        changed = zip((each.name for each in fields(Labels)), _values(named), _values(folded), strict=True)
        return folded, [name for name, before, after in changed if before != after]

    def app(self, name: str) -> str:
        """An app as Prometheus may see it."""
        return self._admit(("app",), name or UNKNOWN, self.limits.apps)

    def judge(self, kind: str) -> str:
        """A kind of batches; that of a judge too many is of those that are others."""
        name = kind.removeprefix(JUDGE)
        return kind if name == kind else f"{JUDGE}{self._admit((JUDGE,), name, self.limits.judges)}"

    def _admit(self, key: tuple[str, ...], value: str, limit: int) -> str:
        seen = self._seen.setdefault(key, [])
        if value in (UNKNOWN, OTHER) or value in seen:
            return value
        if len(seen) >= limit:
            return OTHER
        seen.append(value)
        return value

    def _version(self, app: str, prompt: str, value: str) -> str:
        if value in (UNKNOWN, OTHER) or OTHER in (app, prompt):
            return value if value == UNKNOWN else OTHER
        seen = self._seen.setdefault(("prompt_version", app, prompt), [])
        if value not in seen:
            seen.append(value)
        return value if value in seen[-self.limits.versions :] else OTHER


Sample = TypeVar("Sample", bound=tuple[str, ...])


def by_app(
    samples: Mapping[Sample, float], place: int, admission: Admission, together: Callable[[float, float], float]
) -> dict[tuple[str, ...], float]:
    """A gauge's samples under bounded apps. place: where an app is among the labels; together: makes one of two."""
    found: dict[tuple[str, ...], float] = {}
    for labels, number in sorted(samples.items()):
        key = (*labels[:place], admission.app(labels[place]), *labels[place + 1 :])
        found[key] = together(found[key], number) if key in found else number
    return found


def _values(labels: Labels) -> tuple[str, ...]:
    return astuple(labels)


def _places(labels: Labels) -> list[tuple[tuple[str, ...], str]]:
    return [
        (("app",), labels.app),
        (("prompt",), labels.prompt),
        (("model",), labels.model),
        (("surface",), labels.surface),
        (("language",), labels.language),
        (("context_strategy",), labels.context_strategy),
        (("prompt_version", labels.app, labels.prompt), labels.prompt_version),
    ]


def fold(counts: Iterable[Count], admission: Admission) -> list[Count]:
    """The counts under bounded labels, and per label how many generations had a value that was folded."""
    folded: list[Count] = []
    for each in sorted(counts, key=lambda count: count.batch_at):
        labels, names = admission.fold(each.labels)
        folded.append(replace(each, labels=labels, kind=admission.judge(each.kind)))
        if each.kind == "generation":
            where = Labels(labels.app, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
            folded += [Count("overflow", each.batch_at, where, name, each.count) for name in names]
    return folded
