"""Where imported events go, and how an import of a repository knows what it has sent before."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from keeprate.deploy.commands.importing.rejects import Rejects
from keeprate.deploy.emitting import STALLED_S, emitting, settle
from keeprate.producers.imports.git import CommitStep
from keeprate.schemas.decode import ContractError, encode, validate
from keeprate.schemas.events import Event
from keeprate.schemas.ids import foreign_id

SAVE_EVERY_EVENTS = 5_000


@dataclass(frozen=True)
class EventOutlet:
    """emit: takes an event, and may wait. settle: returns once all that were taken are safe; raises EmitError."""

    emit: Callable[[Event], object]
    settle: Callable[[], object]


@contextmanager
def target(app: str, brokers: str, out: Path | None = None, dry_run: bool = False) -> Iterator[EventOutlet]:
    """Nowhere, a file of NDJSON, or Kafka. Raises EmitError and OSError."""
    if dry_run:
        yield EventOutlet(lambda event: None, lambda: None)
    elif out is not None:
        with out.open("wb") as lines:
            yield EventOutlet(lambda event: lines.write(encode(event) + b"\n"), lines.flush)
    else:
        with emitting(app, brokers) as client:
            yield EventOutlet(
                lambda event: client.emit(event, block=True, timeout_s=STALLED_S), lambda: settle(client, brokers)
            )


def now_ms() -> int:
    """The wall clock: a record cannot be dated more than a day after it."""
    return time.time_ns() // 1_000_000


def sound(steps: Iterable[CommitStep], bad: Rejects, repository: str, recorded_ms: int) -> Iterator[CommitStep]:
    """The steps without the events that are none: a commit may claim any date, and one of 1970 or 2199 is no time.

    What is said of a generation that is rejected is rejected with it: it would be about nothing.
    """
    rejected: set[str] = set()
    for step in steps:
        events = []
        for event in step.events:
            try:
                if event["generation_id"] in rejected:
                    raise ContractError("invalid", f"{event['generation_id']} was rejected itself", "generation_id")
                events.append(validate(event, recorded_ms))
            except ContractError as error:
                if event["type"] == "generation":
                    rejected.add(event["generation_id"])
                at = f"commit {step.sha[:12]}" if step.sha else "the end of the history"
                bad.add(f"{repository}, {at}, {event['type']}", error, event_id=event["event_id"])
        yield replace(step, events=events)


@dataclass(frozen=True)
class Bookmark:
    """The last commit of the branch up to which everything was delivered, in a file."""

    path: Path

    @classmethod
    def of(cls, directory: Path, app: str, *what: object) -> "Bookmark":
        """The one for an import of this app with these options."""
        return cls(directory / "imports" / f"{foreign_id(app, repr(what))}.json")

    def load(self) -> str:
        """The commit, or the empty string."""
        try:
            return str(json.loads(self.path.read_text("utf-8"))["after"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def save(self, sha: str) -> None:
        """Keep the commit, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({"after": sha}), "utf-8")
        fresh.replace(self.path)


def with_news(steps: Iterable[CommitStep], after: str) -> Iterator[tuple[CommitStep, bool]]:
    """Each step, and whether its events were not sent yet, when those up to the commit `after` were."""
    is_news, is_longer = not after, not after
    for step in steps:
        is_longer |= is_news and step.on_branch and bool(step.sha)
        # The last step repeats the checks that were due before; without a new commit there are none but those.
        yield step, is_news and is_longer
        is_news |= step.sha == after


def send(steps: Iterable[CommitStep], after: str, to: EventOutlet, bookmark: Bookmark | None) -> Iterator[CommitStep]:
    """Emit what is new, keep the bookmark up to date, and give every step when it is done with."""
    unsaved, last = 0, after
    for step, is_news in with_news(steps, after):
        if is_news:
            for event in step.events:
                to.emit(event)
            unsaved += len(step.events)
            last = step.sha if step.on_branch and step.sha else last
        if bookmark is not None and unsaved >= SAVE_EVERY_EVENTS:
            to.settle()
            bookmark.save(last)
            unsaved = 0
        yield step
    to.settle()
    if bookmark is not None and last:
        bookmark.save(last)
