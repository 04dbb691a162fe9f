"""The types of what is said in reviews and of the answers, and of how well all who judge agree."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from keeprate.deploy.page.api.shapes import closed


@closed
class CoefficientJson(TypedDict):
    """A number with its 95 % interval, of so many suggestions; null where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    items: int


@closed
class ComparisonJson(TypedDict):
    """One voice against another, which is taken for the truth."""

    voice: str
    judge: str
    evaluation: str
    truth: str
    items: int
    table: dict[str, int]
    agreement: CoefficientJson
    precision: CoefficientJson
    recall: CoefficientJson
    kappa: CoefficientJson


@closed
class ReviewerJson(ComparisonJson):
    """A reviewer, by the pseudonym that events have, against the other experts."""

    reviewer: str


@closed
class StretchJson(ComparisonJson):
    """A judge against what users kept, in one bucket of time."""

    at: int


@closed
class JudgeOverTimeJson(TypedDict):
    """One judge, bucket after bucket."""

    judge: str
    evaluation: str
    title: str
    stretches: list[StretchJson]


@closed
class TogetherJson(TypedDict):
    """Krippendorff's alpha of several raters."""

    title: str
    raters: int
    alpha: CoefficientJson


@closed
class UnreadJson(TypedDict):
    """An evaluation some of whose words no scale knows."""

    evaluation: str
    number: int
    words: list[str]


@closed
class AgreementJson(TypedDict):
    """How well judges, users and experts agree."""

    horizon_s: int
    comparisons: list[ComparisonJson]
    over_time: list[JudgeOverTimeJson]
    together: list[TogetherJson]
    reviewers: list[ReviewerJson]
    unread: list[UnreadJson]
    enough: int


@closed
class ProgressJson(TypedDict):
    """What one reviewer did in a queue; today is the last 24 hours."""

    reviewer: str
    done: int
    today: int
    skipped: int


@closed
class QueueJson(TypedDict):
    """A queue, and what is in it for who asks.

    goes_on: there may be more than it holds. looked_back_to: until all of it was looked through, how far that is.
    """

    name: str
    title: str
    rule: str
    meaning: str
    reviewers: int
    share: float
    blind: bool
    suggestions: int
    goes_on: bool
    looked_back_to: int | None
    complete: int
    open: int
    progress: list[ProgressJson]


@closed
class WhoJson(TypedDict):
    """Who reviews, by pseudonym and by name."""

    id: str
    name: str
    is_known: bool


@closed
class BoardJson(TypedDict):
    """The queues and what can be said; only `on` and the remedy where the page takes no reviews."""

    on: bool
    remedy: NotRequired[str]
    reviewer: NotRequired[WhoJson | None]
    reservation_min: NotRequired[float]
    names: NotRequired[dict[str, str]]
    waiting: NotRequired[int]
    labels: NotRequired[list[dict[str, Any]]]
    questions: NotRequired[list[dict[str, Any]]]
    queues: NotRequired[list[QueueJson]]


@closed
class ItemJson(TypedDict):
    """A suggestion that is to be reviewed."""

    app: str
    generation_id: str
    choice_index: int


@closed
class ClaimedJson(TypedDict):
    """What is the reviewer's to do, now and next."""

    items: list[ItemJson]
    until: int


@closed
class BlindedJson(TypedDict):
    """A generation without what judges and experts say of it."""

    generation: dict[str, Any] | None
    events: list[dict[str, Any]]
    more: bool
    changes: list[dict[str, Any]]
    chain: list[dict[str, Any]]
    withheld: bool
    blind: Literal[True]


@closed
class SubmittedJson(TypedDict):
    """Whether a judgement is acknowledged already, and of how many events it is."""

    sent: bool
    events: int


@closed
class SkippedJson(TypedDict):
    """It is for others now."""

    skipped: Literal[True]


@closed
class UndoneJson(TypedDict):
    """What was taken back, with the labels that it had by the names of evaluations."""

    item: ItemJson
    words: dict[str, str]
    sent: bool


class AskedBody(TypedDict):
    """Who says something, and in which queue. reviewer: their name, where the page asks nobody who they are."""

    queue: str
    reviewer: NotRequired[str]


class ClaimBody(AskedBody):
    """Asks for what is to be done in a queue. app: of that one alone; empty for all."""

    app: NotRequired[str]


class NamedBody(AskedBody):
    """Names a suggestion, as the claim did."""

    app: str
    generation_id: str
    choice_index: NotRequired[int]


class SkipBody(NamedBody):
    """Leaves a suggestion to others."""


class SubmitBody(NamedBody):
    """A judgement. labels and answers: of those that the board offers; corrected: the text as it should have been."""

    vote: Literal["good", "bad"]
    labels: NotRequired[list[str]]
    answers: NotRequired[dict[str, str]]
    corrected: NotRequired[str | None]
    comment: NotRequired[str]


class UndoBody(AskedBody):
    """Takes back what was done last in a queue."""
