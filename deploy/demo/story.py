"""The story that the demo tells, as data: who uses which app, and what each version is like.

* `editor`: prompt v4 is accepted more often than v3, and kept less: what looked like a win is taken out again within
  ten minutes. Acceptance alone would have shipped it.
* `support`: version 13 gets better votes, and drafts need fewer corrections. Answers from the FAQ alone are flagged as
  hallucinations more often than those from the hybrid search, and late in the story the FAQ grows stale.
* `repo-agent`: version 2.1 costs more for each call and fails less; what it writes stands longer.
"""

import hashlib
from dataclasses import dataclass
from random import Random

DAY_MS = 86_400_000
USERS_PER_APP = 60


@dataclass(frozen=True)
class Version:
    """One version of a prompt, and how people take what it writes.

    acceptance: share of what is shown that an average user accepts.
    removed, removed_s: share of accepted texts that are taken out in the end, and the median time until then.
    edited, edited_s: the same for texts that are changed; rewritten: share of those that keep less than two thirds.
    failure: share of calls that end in an error.
    """

    name: str
    acceptance: float
    removed: float
    removed_s: float
    edited: float
    edited_s: float
    rewritten: float
    failure: float = 0.012


@dataclass(frozen=True)
class Episode:
    """Some hours in which an app has another version than the story says, or the same one with other manners.

    instead_of: the versions, by name, whose users have it. since, until: milliseconds since the epoch.
    """

    app: str
    instead_of: tuple[str, ...]
    version: Version
    since: int
    until: int


@dataclass(frozen=True)
class World:
    """What one run of the demo is made of. Equal worlds give equal histories.

    start_at: milliseconds since the epoch, a midnight.
    release_at: when users begin to move to the newer version.
    stale_at: when the FAQ of the support app stops being up to date.
    """

    seed: int
    start_at: int
    release_at: int
    stale_at: int
    episodes: tuple[Episode, ...] = ()

    @classmethod
    def over(cls, seed: int, start_at: int, days: int) -> "World":
        """A world whose turning points lie within its first `days` days."""
        span_ms = days * DAY_MS
        return cls(seed, start_at, start_at + span_ms * 45 // 100, start_at + span_ms * 88 // 100)


@dataclass(frozen=True)
class Model:
    """An invented model. `appeal` moves the log-odds of acceptance; prices are in USD per million tokens."""

    provider: str
    name: str
    appeal: float
    median_ms: float
    input_price: float
    output_price: float


@dataclass(frozen=True)
class SimulatedApp:
    """One simulated app: its share of all sessions, and its two versions, the older first."""

    name: str
    share: float
    prompt: str
    experiment: str
    versions: tuple[Version, Version]
    models: tuple[Model, Model]


@dataclass(frozen=True)
class User:
    """Somebody who uses an app. `leaning` moves the log-odds of their acceptance, `patience` slows their hand."""

    name: str
    leaning: float
    patience: float
    early: float


EDITOR = SimulatedApp(
    "editor",
    0.50,
    "inline-completion",
    "inline-v4",
    (
        Version("v3", 0.27, removed=0.16, removed_s=420, edited=0.34, edited_s=900, rewritten=0.22),
        Version("v4", 0.37, removed=0.40, removed_s=210, edited=0.42, edited_s=280, rewritten=0.45),
    ),
    (
        Model("lumen", "lumen-code-small", -0.15, 210, 0.15, 0.60),
        Model("orion", "orion-2-code", 0.15, 390, 1.10, 4.40),
    ),
)
SUPPORT = SimulatedApp(
    "support",
    0.34,
    "support-answer",
    "answer-13",
    (
        Version("12", 0.48, removed=0.10, removed_s=300, edited=0.45, edited_s=200, rewritten=0.40),
        Version("13", 0.61, removed=0.06, removed_s=400, edited=0.26, edited_s=300, rewritten=0.20),
    ),
    (Model("lumen", "lumen-chat", -0.05, 1400, 0.30, 1.20), Model("orion", "orion-2", 0.1, 2300, 2.50, 10.0)),
)
AGENT = SimulatedApp(
    "repo-agent",
    0.16,
    "agent",
    "agent-2.1",
    (
        Version("2.0", 0.52, removed=0.30, removed_s=1500, edited=0.40, edited_s=1800, rewritten=0.40, failure=0.09),
        Version("2.1", 0.72, removed=0.14, removed_s=2600, edited=0.36, edited_s=2400, rewritten=0.25, failure=0.03),
    ),
    (Model("orion", "orion-2", 0.0, 2600, 2.50, 10.0), Model("orion", "orion-2-max", 0.2, 3400, 6.0, 24.0)),
)
APPS = (EDITOR, SUPPORT, AGENT)

BAD = Version("v5", 0.12, removed=0.65, removed_s=150, edited=0.30, edited_s=200, rewritten=0.60)
"""A version of the editor's prompt that is bad from its first suggestion on; it is in no history."""

HALLUCINATION = {"faq-only": 0.07, "hybrid-search": 0.025}
"""Share of the support answers that make something up, by how their context was selected."""
STALE_FACTOR = 4.0
"""By how much that share grows for the FAQ once it is stale."""


def user_of(world: World, app: SimulatedApp, index: int) -> User:
    """A user of an app, the same one in every session."""
    rng = Random(f"{world.seed}/{app.name}/user/{index}")
    name = hashlib.sha256(f"demo/{world.seed}/{app.name}/{index}".encode()).hexdigest()[:16]
    return User(name, rng.gauss(0, 0.35), rng.lognormvariate(0, 0.3), rng.random())


def newer_share(world: World, at_ms: int) -> float:
    """Share of the users who have the newer version: none, then a tenth, a third, and half to compare for good."""
    days = (at_ms - world.release_at) / DAY_MS
    if days < 0:
        return 0.0
    return 0.1 if days < 1 else 0.35 if days < 3 else 0.5


def version_of(world: World, app: SimulatedApp, newer: bool, at_ms: int) -> Version:
    """The version that users of the older or the newer one have at a time."""
    own = app.versions[int(newer)]
    for each in world.episodes:
        if each.app == app.name and own.name in each.instead_of and each.since <= at_ms < each.until:
            return each.version
    return own


def hallucination_share(world: World, context_strategy: str, at_ms: int) -> float:
    """Share of the answers that make something up."""
    stale = context_strategy == "faq-only" and at_ms >= world.stale_at
    return HALLUCINATION[context_strategy] * (STALE_FACTOR if stale else 1)
