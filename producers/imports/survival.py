"""From a repository's commits to what landed on its branch, and how much of that still stood at each horizon.

A *suggestion* is what one commit wrote in one language. It is accepted when it lands: when the branch's first-parent
history first contains the commit, at once for a commit made on the branch, with the merge for one made elsewhere. Its
text is what of it stands at that moment; lines that were replaced before they landed were never part of it.

Exact, given `git blame`'s notion of a line's origin: the length at landing and at each horizon, in UTF-16 code units
with a unit for each line's end. The branch only ever takes whole lines out of a suggestion, so what is left is a
subsequence of it and the Levenshtein distance is the number of units taken out. What this cannot see: a line that is
re-indented or moved to another file is a new line of the commit that did so, and a removed line that is brought back
belongs to the commit that brought it back; of two files that one file became, the more similar one has its lines.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from keeprate.producers.imports.authors import Author
from keeprate.producers.imports.languages import language_of
from keeprate.producers.imports.ownership import NO_LINES, Lines, Tree, apply, merge, owner, units
from keeprate.producers.imports.patches import FileChange, Hunk

DAY_S = 86_400
HORIZONS_S = tuple(days * DAY_S for days in (1, 7, 30, 90, 365))


@dataclass(frozen=True)
class Commit:
    """One commit. `at_ms`: the committer's time, in milliseconds since the epoch."""

    sha: str
    parents: tuple[str, ...]
    at_ms: int
    author: Author
    user: str


@dataclass(frozen=True)
class LandedSuggestion:
    """A suggestion that came to stand on the branch. `landed_at` never falls from one landing to the next."""

    commit: Commit
    language: str
    landed_at: int
    units: int
    lines: int


@dataclass(frozen=True)
class StandingCheck:
    """What of a suggestion stands at a horizon after its landing; `total_units` is all that stands on the branch."""

    suggestion: LandedSuggestion
    horizon_s: int
    units: int
    total_units: int


Fact = LandedSuggestion | StandingCheck


@dataclass
class BranchBalance:
    """How much stands on the branch, by owner."""

    units: Counter[int] = field(default_factory=Counter)
    lines: Counter[int] = field(default_factory=Counter)
    total_units: int = 0

    def add(self, lines: Iterable[int], sign: int) -> None:
        """Count lines in (sign 1) or out (sign -1)."""
        for line in lines:
            length, line_owner = units(line), owner(line)
            self.units[line_owner] += sign * length
            self.lines[line_owner] += sign
            self.total_units += sign * length


class HistoryWalk:
    """The walk over a history. Feed it commits, parents first, each with its changes against each of its parents.

    branch: the names of the commits of the first-parent history, the tip included.
    """

    def __init__(
        self, commits: Sequence[Commit], branch: frozenset[str], horizons_s: Sequence[int] = HORIZONS_S
    ) -> None:
        self._commits = {commit.sha: commit for commit in commits}
        self._branch = branch
        self._horizons_s = horizons_s
        self._children = Counter(parent for commit in commits for parent in commit.parents)
        self._trees: dict[str, Tree] = {}
        self._owners: dict[tuple[str, str], int] = {}
        self._by_commit: dict[str, list[tuple[str, int]]] = {}
        self._waiting_to_land: set[str] = set()
        self._balance = BranchBalance()
        self._due: list[tuple[int, int, int, int, LandedSuggestion]] = []
        self._order = itertools.count()
        self._now_ms = 0

    def step(self, commit: Commit, comparisons: Sequence[list[FileChange]]) -> Iterator[Fact]:
        """Take the next commit. Gives facts for a commit of the branch: the checks due before it, then what landed."""
        parents = [self._trees[parent] for parent in commit.parents] or [{}]
        if len(parents) == 1:
            tree = apply(parents[0], comparisons[0], lambda path: self._owner_of(commit, path))
        else:
            tree = merge(parents, comparisons, lambda path: self._owner_of(commit, path))
        self._waiting_to_land.add(commit.sha)
        if commit.sha in self._branch:
            yield from self._advance(commit, parents[0], tree, comparisons)
        self._remember(commit, tree)

    def finish(self) -> Iterator[StandingCheck]:
        """The checks due up to the last commit of the branch. Later horizons are not known yet, so nothing is said."""
        yield from self._checks(self._now_ms + 1)

    def standing(self) -> dict[tuple[str, str], int]:
        """Lines that stand on the branch now, by the commit that wrote them and its language."""
        return {names: lines for names, number in self._owners.items() if (lines := self._balance.lines[number])}

    def _owner_of(self, commit: Commit, path: str) -> int:
        language = language_of(path)
        known = self._owners.get((commit.sha, language))
        if known is None:
            # Zero is nobody.
            known = self._owners[commit.sha, language] = len(self._owners) + 1
            self._by_commit.setdefault(commit.sha, []).append((language, known))
        return known

    def _remember(self, commit: Commit, tree: Tree) -> None:
        self._trees[commit.sha] = tree
        for parent in commit.parents:
            self._children[parent] -= 1
            if not self._children[parent]:
                self._trees.pop(parent, None)

    def _advance(
        self, commit: Commit, before: Tree, tree: Tree, comparisons: Sequence[list[FileChange]]
    ) -> Iterator[Fact]:
        # Clocks differ between committers; on the branch time does not run backwards.
        self._now_ms = max(self._now_ms, commit.at_ms)
        yield from self._checks(self._now_ms)
        for change in comparisons[0]:
            old = NO_LINES if change.old is None else before.get(change.old, NO_LINES)
            new = NO_LINES if change.new is None else tree.get(change.new, NO_LINES)
            # A merge may give any line another owner, a single parent's change only those in its hunks.
            out, into = (old, new) if len(comparisons) > 1 else _difference(change, old, new)
            self._balance.add(out, -1)
            self._balance.add(into, 1)
        yield from self._land(commit)

    def _checks(self, before_ms: int) -> Iterator[StandingCheck]:
        while self._due and self._due[0][0] < before_ms:
            _, _, horizon_s, line_owner, landed = heapq.heappop(self._due)
            # A later merge can bring back lines that were lost on the way; more than all of them cannot be kept.
            left = min(self._balance.units[line_owner], landed.units)
            yield StandingCheck(landed, horizon_s, left, self._balance.total_units)

    def _land(self, commit: Commit) -> Iterator[LandedSuggestion]:
        for sha in self._newly_reachable(commit):
            for language, line_owner in self._by_commit.pop(sha, ()):
                if not self._balance.units[line_owner]:
                    continue
                length, lines = self._balance.units[line_owner], self._balance.lines[line_owner]
                landed = LandedSuggestion(self._commits[sha], language, self._now_ms, length, lines)
                for horizon_s in self._horizons_s:
                    due_at = self._now_ms + horizon_s * 1000
                    heapq.heappush(self._due, (due_at, next(self._order), horizon_s, line_owner, landed))
                yield landed

    def _newly_reachable(self, commit: Commit) -> list[str]:
        """The commits that the branch did not contain before, in the order in which they were made."""
        found, open_ends = [], [commit.sha]
        while open_ends:
            sha = open_ends.pop()
            if sha in self._waiting_to_land:
                self._waiting_to_land.discard(sha)
                found.append(sha)
                open_ends.extend(self._commits[sha].parents)
        return sorted(found, key=lambda sha: (self._commits[sha].at_ms, sha))


def _difference(change: FileChange, old: Lines, new: Lines) -> tuple[Iterable[int], Iterable[int]]:
    """The lines that a change takes out and brings in, without those that stay."""
    if change.binary:
        return old, new
    out = itertools.chain.from_iterable(old[hunk.start : hunk.start + hunk.removed] for hunk in change.hunks)
    return out, _brought_in(change.hunks, new)


def _brought_in(hunks: Sequence[Hunk], new: Lines) -> Iterator[int]:
    shift = 0
    for hunk in hunks:
        start = hunk.start + shift
        yield from new[start : start + len(hunk.added)]
        shift += len(hunk.added) - hunk.removed
