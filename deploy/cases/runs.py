"""Runs of a suite in files, one for each: a head, a line for each result as it comes, and an end.

A run that was killed has no end; it is taken up again at what it has, without its last line where that is torn. The
file has what models answered, so it is its user's alone, as all that the command line writes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from keeprate.deploy.cases.inert import json_line
from keeprate.deploy.cases.suite import Json

Verdict = Literal["passed", "failed", "error"]
GREEN: Final = "green.json"
_DECIDES: Final = ("digest", "subject", "version", "checks")
"""Of a run's head, what must be the same for it to be taken up again."""


class RunError(Exception):
    """A file is no run. Says which, and what would do."""


@dataclass(frozen=True)
class CaseResult:
    """What came of one case. error: why it could not be asked or judged. held: each check. at: when, in ms."""

    case: str
    verdict: Verdict
    at: int
    event_id: str
    held: Sequence[Json] = ()
    answer: str | None = None
    took_ms: int = 0
    error: str = ""

    @property
    def why(self) -> str:
        """Why it did not pass, in words."""
        return self.error or "; ".join(f"{each['check']}: {each['why']}" for each in self.held if not each["held"])

    @property
    def score(self) -> float | None:
        """The worst score of its checks, where any has one."""
        return min((each["score"] for each in self.held if each.get("score") is not None), default=None)


@dataclass
class SuiteRun:
    """One run. head: of what, under which version, when. results: by case, in the order in which they came."""

    path: Path
    head: Json
    results: dict[str, CaseResult] = field(default_factory=dict)
    ended_at: int | None = None
    sent: int | None = None

    @property
    def run(self) -> str:
        return str(self.head["run"])

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        return {name: result.verdict for name, result in self.results.items()}

    def count(self, verdict: Verdict) -> int:
        """How many cases came to a verdict."""
        return sum(each.verdict == verdict for each in self.results.values())

    def begin(self) -> None:
        """Write the head of a new run, or cut off the torn end of one that is taken up again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            # Whole or not at all: a file without its head would be no run.
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json_line({"head": self.head}) + "\n", "utf-8")
            fresh.replace(self.path)
            return
        data = self.path.read_bytes()
        if not data.endswith(b"\n"):
            with self.path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)

    def add(self, result: CaseResult) -> None:
        """Keep a result. It outlives the process as soon as this returns."""
        self.results[result.case] = result
        self._append({"result": vars(result)})

    def end(self, at: int) -> None:
        """Say that every case has its result."""
        self.ended_at = at
        self._append({"ended_at": at})

    def mark_sent(self, events: int) -> None:
        """Say that the results were acknowledged as events."""
        self.sent = events
        self._append({"sent": events})

    def _append(self, value: Json) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json_line(value) + "\n")


def read_run(path: Path) -> SuiteRun:
    """The run in a file, as far as it got. Raises RunError."""
    found: SuiteRun | None = None
    for value in _values(path):
        if "head" in value:
            found = SuiteRun(path, value["head"])
        elif found is None:
            break
        elif "result" in value:
            result = CaseResult(**value["result"])
            found.results[result.case] = result
        else:
            found.ended_at = value.get("ended_at", found.ended_at)
            found.sent = value.get("sent", found.sent)
    if found is None:
        raise RunError(f"{path} is no run of keeprate cases; move it away")
    return found


def _values(path: Path) -> Iterator[Json]:
    data = path.read_bytes()
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            raise RunError(f"{path} holds a line that is not JSON; move it away") from None


def runs_in(directory: Path) -> list[SuiteRun]:
    """All runs, the oldest first: their names are ids that ascend. Raises RunError."""
    return [read_run(path) for path in sorted(directory.glob("*.jsonl"))] if directory.is_dir() else []


def to_take_up(runs: Sequence[SuiteRun], head: Mapping[str, Any]) -> SuiteRun | None:
    """The last run, where it has no end and asks the same of the same."""
    last = runs[-1] if runs else None
    if last is None or last.ended_at is not None:
        return None
    return last if all(last.head.get(name) == head.get(name) for name in _DECIDES) else None


def ended(runs: Sequence[SuiteRun]) -> list[SuiteRun]:
    """Those that came to their end."""
    return [each for each in runs if each.ended_at is not None]


@dataclass(frozen=True)
class Green:
    """The last run that the gate let through: which, of which version, and which cases passed in it."""

    run: str
    version: str
    at: int
    passed: Sequence[str]


def read_green(directory: Path) -> Green | None:
    """None where the gate has let none through. Raises RunError."""
    path = directory / GREEN
    if not path.exists():
        return None
    try:
        return Green(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise RunError(f"{path} is not what keeprate cases gate wrote: {error}; delete it to begin anew") from None


def write_green(directory: Path, green: Green) -> None:
    """Keep it, whole or not at all."""
    fresh = directory / f"{GREEN}.new"
    fresh.write_text(json.dumps(vars(green) | {"passed": list(green.passed)}, indent=1) + "\n", "utf-8")
    fresh.replace(directory / GREEN)
