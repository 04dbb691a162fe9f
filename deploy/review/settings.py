"""How reviews are held: queues, what reviewers may say, which words of judges are good; from TOML or by default."""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from keeprate.producers.errors import SettingsError
from keeprate.schemas.kinds import MAX_HORIZON_S, AppName
from keeprate.schemas.kinds import Label as Slug
from keeprate.sinks.reading.voices import EXPERT_VOTE, WITHDRAWN, Scale, Scales

Rule = Literal["flagged", "not_kept", "disputed", "random", "informative"]

RULES: Final[dict[Rule, str]] = {
    "flagged": "A user flagged it, and the flag still stands.",
    "not_kept": "A user accepted it, and had changed or removed it by the time of the check.",
    "disputed": "A judge calls it good and its user did not, or the other way round.",
    "random": "A random sample of what was shown: what experts say of it holds for all of it.",
    "informative": "What is known of it contradicts itself, or nothing like it was reviewed: a word teaches most here.",
}
FLAG: Final = "expert_flag"
"""The name of the evaluation by which an expert sets a label is this, a colon and the label."""
_MODEL: Final = ConfigDict(frozen=True, extra="forbid")


class Queue(BaseModel):
    """Suggestions that wait for experts.

    reviewers: how many look at each. most: how many suggestions it holds at a time. share: of a random sample.
    blind: hides what users did and said of it, too. Judges and other experts are hidden in every queue.
    """

    model_config = _MODEL

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    title: Annotated[str, Field(min_length=1, max_length=80)]
    rule: Rule
    apps: tuple[AppName, ...] = ()
    days: Annotated[int, Field(ge=1, le=366)] = 30
    horizon_s: Annotated[int, Field(ge=1, le=MAX_HORIZON_S)] | None = None
    reviewers: Annotated[int, Field(ge=1, le=9)] = 1
    most: Annotated[int, Field(ge=1, le=500)] = 200
    share: Annotated[float, Field(gt=0, le=1)] = 0.05
    blind: bool = False


class Taught(BaseModel):
    """A label of the taxonomy: an issue that an expert may mark in an output."""

    model_config = _MODEL

    name: Annotated[Slug, Field(max_length=60)]
    title: Annotated[str, Field(min_length=1, max_length=60)]
    meaning: Annotated[str, Field(max_length=300)] = ""


class Criterion(BaseModel):
    """A question with a choice of answers. Its name may be that of a judge's evaluation, to compare them."""

    model_config = _MODEL

    name: Slug
    title: Annotated[str, Field(min_length=1, max_length=120)]
    answers: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=60)], ...], Field(min_length=2, max_length=9)
    ]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if WITHDRAWN in self.answers or len(set(self.answers)) != len(self.answers):
            raise ValueError(f"answers: each once, and none of them {WITHDRAWN!r}")
        if self.name == EXPERT_VOTE or self.name.startswith(f"{FLAG}:"):
            raise ValueError(f"name: {self.name} is what votes and labels are called; take another one")
        return self


class JudgeWords(BaseModel):
    """Which words of an evaluation are good and which bad. at_least: from which number on it is good."""

    model_config = _MODEL

    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    at_least: float | None = None


class SendSettings(BaseModel):
    """A collector in place of Kafka's brokers. keys: for each app the file that holds its key."""

    model_config = _MODEL

    url: str
    keys: Annotated[dict[AppName, Path], Field(min_length=1)]


DEFAULT_QUEUES: Final = (
    Queue(name="flagged", title="What users flagged", rule="flagged"),
    Queue(name="not-kept", title="Accepted, and not kept", rule="not_kept"),
    Queue(name="disputed", title="Judge and user disagree", rule="disputed", reviewers=2),
    Queue(name="random", title="Random sample", rule="random", reviewers=2, blind=True),
    Queue(name="informative", title="Most informative", rule="informative"),
)
DEFAULT_LABELS: Final = (
    Taught(name="incorrect", title="Incorrect", meaning="It says or does what is not so."),
    Taught(name="incomplete", title="Incomplete", meaning="Something that was asked for is missing."),
    Taught(name="off_topic", title="Off topic", meaning="It answers another question."),
    Taught(name="unsupported", title="Unsupported", meaning="Its context does not say that."),
    Taught(name="style", title="Style or tone", meaning="Right, and not as we write."),
    Taught(name="harmful", title="Harmful", meaning="Unsafe, or against the rules."),
)


class ReviewSettings(BaseModel):
    """All that can be said of reviews. reservation_min: how long a suggestion is kept for who took it."""

    model_config = _MODEL

    reservation_min: Annotated[float, Field(ge=1, le=1440)] = 15
    queues: Annotated[tuple[Queue, ...], Field(min_length=1, max_length=20)] = DEFAULT_QUEUES
    labels: Annotated[tuple[Taught, ...], Field(max_length=30)] = DEFAULT_LABELS
    questions: Annotated[tuple[Criterion, ...], Field(max_length=9)] = ()
    judges: dict[Slug, JudgeWords] = {}
    send: SendSettings | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        for kind in ("queues", "labels", "questions"):
            names = [each.name for each in getattr(self, kind)]
            if twice := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{kind}: {min(twice)} is there twice; a name is for one")
        return self

    @property
    def scales(self) -> Scales:
        """The judges' words as the store is asked about them."""
        return Scales({name: _scale(words) for name, words in self.judges.items()})

    def queue(self, name: str) -> Queue | None:
        """The queue of a name."""
        return next((each for each in self.queues if each.name == name), None)


def _scale(words: JudgeWords) -> Scale:
    return Scale(words.good, words.bad, words.at_least)


def read(path: Path | None) -> ReviewSettings:
    """What a file says of reviews; the defaults without one. Raises SettingsError."""
    if path is None:
        return ReviewSettings()
    try:
        said = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError("review-config", f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError("review-config", f"{path} is not TOML: {error}") from error
    try:
        return ReviewSettings.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError("review-config", f"{path}: {place + ': ' if place else ''}{reason}") from error
