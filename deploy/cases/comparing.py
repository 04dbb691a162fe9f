"""A run beside an earlier one, and the decision of the gate. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keeprate.deploy.cases.runs import Green, SuiteRun, Verdict


@dataclass(frozen=True)
class Difference:
    """Cases by name: those that passed and fail now, those that pass again, and failures that are new cases."""

    regressions: Sequence[str]
    repairs: Sequence[str]
    new_failures: Sequence[str]


def compare(before: Mapping[str, Verdict], now: Mapping[str, Verdict]) -> Difference:
    """What changed from one run to a later one. What could not be asked is neither a regression nor a repair."""
    return Difference(
        [name for name, verdict in now.items() if verdict == "failed" and before.get(name) == "passed"],
        [name for name, verdict in now.items() if verdict == "passed" and before.get(name) in ("failed", "error")],
        [name for name, verdict in now.items() if verdict == "failed" and name not in before],
    )


@dataclass(frozen=True)
class GatePolicy:
    """What the gate lets through. min_pass_rate: of all cases. max_new_failures: since the last green run."""

    min_pass_rate: float = 1.0
    max_new_failures: int = 0


@dataclass(frozen=True)
class Decision:
    """reasons: why the gate is shut; none where it is open. broken: cases that passed in the last green run."""

    reasons: Sequence[str]
    broken: Sequence[str]

    @property
    def is_open(self) -> bool:
        return not self.reasons


def decide(run: SuiteRun, names: Sequence[str], digest: str, green: Green | None, policy: GatePolicy) -> Decision:
    """Whether a run may pass. names: the cases of the suite as it is now, and its digest."""
    reasons = []
    if run.head["digest"] != digest:
        reasons.append("the suite has changed since its last run: keeprate cases run it again")
    verdicts = {name: run.verdicts[name] for name in names if name in run.verdicts}
    if missing := len(names) - len(verdicts):
        reasons.append(f"{missing} of {len(names)} cases have no result")
    if errors := sum(each == "error" for each in verdicts.values()):
        reasons.append(f"{errors} of {len(names)} cases could not be asked or judged")
    passed = sum(each == "passed" for each in verdicts.values())
    if passed < policy.min_pass_rate * len(names):
        reasons.append(f"{passed} of {len(names)} cases passed; --min-pass-rate asks for {policy.min_pass_rate:.0%}")
    held = set(green.passed) if green else set()
    broken = [name for name, verdict in verdicts.items() if verdict == "failed" and name in held]
    if green and len(broken) > policy.max_new_failures:
        of = f" ({green.version})" if green.version else ""
        count = "1 case fails that" if len(broken) == 1 else f"{len(broken)} cases fail that"
        reasons.append(
            f"{count} passed in the last green run{of}: {', '.join(broken[:5])}{', …' if len(broken) > 5 else ''}"
        )
    return Decision(reasons, broken)
