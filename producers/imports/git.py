"""A repository's history as events: what each commit wrote, and how much of it still stands after days and a year.

For each suggestion of `survival` (what one commit wrote in one language, once it has landed on the branch):

    generation       at the commit's time, by whom the commit's author line and trailers name
    action accept    accept_mode=auto, when it landed: there is no accept step, so only retention speaks of it
    retention_check  at 1, 7, 30, 90 and 365 days after it landed, as far as the branch's last commit reaches

One commit in one language, and not one in one file, because the language is a dimension of the metrics, while a file
may be renamed; and a suggestion is what was decided on at once. Ids are UUIDv5 of app, commit and language.
"""

import hashlib
import re
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from keeprate.producers.imports.authors import author_of
from keeprate.producers.imports.patches import FileChange, read_comparisons
from keeprate.producers.imports.survival import HORIZONS_S, Commit, Fact, HistoryWalk, LandedSuggestion, StandingCheck
from keeprate.schemas.events import SCHEMA_VERSION, Event
from keeprate.schemas.ids import foreign_id

_COMMIT_FORMAT = "%H%x1f%P%x1f%ct%x1f%an%x1f%ae%x1f%B"
_DIFF = (
    "diff-tree",
    "--stdin",
    "--root",
    "--always",
    "--format=%x00%H",
    "--patch",
    "--unified=0",
    "--find-renames",
    # A file that only changed its line ends was not rewritten: lengths count CRLF as LF too.
    "--ignore-cr-at-eol",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--ignore-submodules=all",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)


class HistoryError(Exception):
    """The repository cannot be read as a history; the message says what to do."""


@dataclass(frozen=True)
class HistorySelection:
    """What of a history becomes events.

    app: the app of the events.
    branch: whose first-parent history things land on.
    sample: share of the commits, chosen by their names, so that the same ones are chosen each time.
    since_ms: nothing that landed earlier, in milliseconds since the epoch.
    """

    app: str
    branch: str = "HEAD"
    sample: float = 1.0
    since_ms: int = 0
    horizons_s: tuple[int, ...] = HORIZONS_S

    def takes(self, landed: LandedSuggestion) -> bool:
        """Whether a suggestion and its checks are selected."""
        share = int(landed.commit.sha[:8], 16) / 0x1_0000_0000
        return share < self.sample and landed.landed_at >= self.since_ms


@dataclass(frozen=True)
class CommitStep:
    """The events that one commit settles; empty for one that is not on the branch. `sha` is empty for the last step."""

    sha: str
    on_branch: bool
    events: list[Event]


def import_events(
    repository: Path, selection: HistorySelection, begin: Callable[[int], None] = lambda total: None
) -> Iterator[CommitStep]:
    """A step for each commit, parents first, then one more. Raises HistoryError.

    begin: called with the number of commits once it is known.
    """
    commits = read_commits(repository, selection.branch)
    branch = _first_parents(commits)
    begin(len(commits))
    walk = HistoryWalk(commits, branch, selection.horizons_s)
    for commit, facts in _walk(repository, commits, walk):
        yield CommitStep(commit.sha, commit.sha in branch, list(_events(facts, selection)))
    yield CommitStep("", True, list(_events(walk.finish(), selection)))


def standing_lines(repository: Path, branch: str = "HEAD") -> dict[tuple[str, str], int]:
    """Lines that stand at the branch's tip, by the commit that wrote them and its language. Raises HistoryError."""
    commits = read_commits(repository, branch)
    walk = HistoryWalk(commits, _first_parents(commits))
    for _, facts in _walk(repository, commits, walk):
        deque(facts, maxlen=0)
    return walk.standing()


def app_name(repository: Path) -> str:
    """`git-` and the name of the repository's directory, as the name of an app. Raises HistoryError."""
    directory = Path(_git(repository, "rev-parse", "--absolute-git-dir").strip())
    name = directory.parent.name if directory.name == ".git" else directory.name.removesuffix(".git")
    return f"git-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}"[:100]


def is_on_branch(repository: Path, branch: str, sha: str) -> bool:
    """Whether the branch's first-parent history still has this commit. Raises HistoryError."""
    return sha in _git(repository, "rev-list", "--first-parent", branch, "--").split()


def _walk(repository: Path, commits: Sequence[Commit], walk: HistoryWalk) -> Iterator[tuple[Commit, Iterator[Fact]]]:
    """Each commit with what it settles; the facts must be taken before the next."""
    with closing(_comparisons(repository, commits)) as comparisons:
        for commit in commits:
            changes = [next(comparisons) for _ in range(max(1, len(commit.parents)))]
            yield commit, walk.step(commit, changes)


def read_commits(repository: Path, branch: str) -> list[Commit]:
    """Every commit that the branch reaches, parents first, the tip last. Raises HistoryError."""
    _refuse_shallow(repository)
    output = _git(repository, "log", "-z", "--topo-order", "--reverse", f"--format={_COMMIT_FORMAT}", branch, "--")
    return [_commit(record) for record in output.split("\0") if record]


def _commit(record: str) -> Commit:
    sha, parents, seconds, name, mail, message = record.lstrip("\n").split("\x1f", 5)
    # Commits may claim any time; the schema's times begin after the epoch.
    at_ms = max(1, int(seconds) * 1000)
    user = hashlib.sha256(f"git\x1f{mail.lower()}".encode()).hexdigest()[:16]
    return Commit(sha, tuple(parents.split()), at_ms, author_of(name, mail, message), user)


def _first_parents(commits: Sequence[Commit]) -> frozenset[str]:
    by_sha = {commit.sha: commit for commit in commits}
    chain: set[str] = set()
    sha = commits[-1].sha
    while sha:
        chain.add(sha)
        parents = by_sha[sha].parents
        sha = parents[0] if parents else ""
    return frozenset(chain)


def _comparisons(repository: Path, commits: Sequence[Commit]) -> Generator[list[FileChange]]:
    """What each commit changed against each of its parents, from one run of git. Ends git on leaving."""
    with tempfile.TemporaryFile() as requests, tempfile.TemporaryFile() as errors:
        for commit in commits:
            for parent in commit.parents or ("",):
                requests.write(f"{commit.sha} {parent}".rstrip().encode() + b"\n")
        requests.seek(0)
        process = subprocess.Popen(
            ["git", "-C", str(repository), *_DIFF], stdin=requests, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        try:
            yield from read_comparisons(iter(process.stdout))
            _expect_success(process, errors)
        except ValueError:
            _expect_success(process, errors)
            raise
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _expect_success(process: "subprocess.Popen[bytes]", errors: IO[bytes]) -> None:
    if process.wait():
        errors.seek(0)
        raise HistoryError(_why(errors.read().decode(errors="replace")))


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), "-c", "i18n.logOutputEncoding=UTF-8", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except FileNotFoundError:
        raise HistoryError("git is not installed, or not on the path") from None
    except subprocess.CalledProcessError as error:
        raise HistoryError(_why(error.stderr.decode(errors="replace"))) from None
    return done.stdout.decode("utf-8", "replace")


def _why(message: str) -> str:
    last = (message.strip().splitlines() or ["git ended without a word"])[-1]
    if "unable to read" in last or "missing" in last:
        return f"{last}: objects are missing; complete the clone with git fetch --refetch"
    return last


def _refuse_shallow(repository: Path) -> None:
    if _git(repository, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise HistoryError(
            f"{repository} is a shallow clone, whose first commit would own every line: git fetch --unshallow"
        )


def _events(facts: Iterator[Fact], selection: HistorySelection) -> Iterator[Event]:
    for fact in facts:
        if isinstance(fact, LandedSuggestion):
            if selection.takes(fact):
                yield from landing_events(fact, selection.app)
        elif selection.takes(fact.suggestion):
            yield check_event(fact, selection.app)


def landing_events(landed: LandedSuggestion, app: str) -> tuple[Event, Event]:
    """The generation and its accept."""
    commit, author = landed.commit, landed.commit.author
    generation = _envelope(landed, app, "generation", min(commit.at_ms, landed.landed_at)) | {
        "operation": "commit",
        "surface": "commit",
        "language": landed.language,
        "provider": author.name,
        "model": author.name,
        "variant": author.author_class,
        "content_mode": "off",
        "outcome": "produced",
        "external_id": f"{commit.sha}:{landed.language}",
    }
    accept = _envelope(landed, app, "action", landed.landed_at) | {
        "action": "accept",
        "accept_mode": "auto",
        "length": landed.units,
        "lines": landed.lines,
    }
    return cast(Event, generation), cast(Event, accept)


def check_event(checked: StandingCheck, app: str) -> Event:
    """The state at a horizon, which is known for its very moment: nothing changes between two commits."""
    landed = checked.suggestion
    elapsed_ms = checked.horizon_s * 1000
    event = _envelope(landed, app, f"retention_check:{checked.horizon_s}", landed.landed_at + elapsed_ms) | {
        "horizon_s": checked.horizon_s,
        "elapsed_ms": elapsed_ms,
        "status": "present" if checked.units else "removed",
        "original_length": landed.units,
        "current_length": checked.units,
        "distance": landed.units - checked.units,
        "retained_length": checked.units,
        "total_length": checked.total_units,
    }
    return cast(Event, event)


def _envelope(landed: LandedSuggestion, app: str, part: str, at_ms: int) -> dict[str, Any]:
    suggestion = f"{landed.commit.sha}:{landed.language}"
    return {
        "type": part.partition(":")[0],
        "event_id": foreign_id(app, f"{suggestion}:{part}"),
        "schema_version": SCHEMA_VERSION,
        "occurred_at": at_ms,
        "app": app,
        "user": landed.commit.user,
        "generation_id": foreign_id(app, suggestion),
    }
