"""Cases and suites of them, as lines of JSON: read, held to their form, and written. Pure; for the base install."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from keeprate.deploy.cases.inert import json_line

Json = dict[str, Any]

_TEXTS: Final = ("app", "step", "expected", "expected_from", "output")
_LISTS: Final = ("input", "tools_offered", "stages", "checks")
_OBJECTS: Final = ("prompt_variables", "parameters", "source")
_SHOWN_CHARS: Final = 60


class SuiteError(ValueError):
    """A suite is none. Says the line, the field and what would do."""


@dataclass(frozen=True)
class Case:
    """One regression test: what a stage of an app was given, and what must hold of its answer.

    identity: the same for the same input, whatever was said of it since. input: messages, as they were captured.
    expected: what the answer should be, and `expected_from` who says so: `correction`, or `kept` for an output that
    users kept. output: what was answered then. stages: all of the chain, from the root on, with input and output.
    checks: what must hold, as `checks` reads them. source: the suggestion that it is made of.
    """

    identity: str
    app: str
    input: Sequence[Json]
    source: Json
    checks: Sequence[Json]
    expected: str | None = None
    expected_from: str = ""
    output: str | None = None
    step: str = ""
    prompt_variables: Json = field(default_factory=dict)
    parameters: Json = field(default_factory=dict)
    tools_offered: Sequence[str] = ()
    stages: Sequence[Json] = ()

    def as_json(self) -> Json:
        """As a line of a suite has it, without what is empty."""
        named = {name: getattr(self, name) for name in (*_TEXTS, *_LISTS, *_OBJECTS)}
        return {"case": self.identity} | {
            name: value for name, value in named.items() if value not in (None, "", [], {}, ())
        }

    def as_question(self) -> Json:
        """What the subject of a test is told: all but what should come out, and what came out then."""
        kept = {name: value for name, value in self.as_json().items() if name not in _ANSWERS}
        own = self.source.get("generation_id")
        stages = [
            {name: value for name, value in stage.items() if name != "output" or stage.get("generation_id") != own}
            for stage in self.stages
        ]
        return kept | ({"stages": stages} if stages else {})

    @property
    def generation_id(self) -> str:
        """The suggestion's generation; '' for a case that somebody wrote by hand."""
        return str(self.source.get("generation_id") or "")


_ANSWERS: Final = ("expected", "expected_from", "output", "checks")


@dataclass(frozen=True)
class Suite:
    """Cases in their order. left_out: the suggestions that no case could be made of, with the reasons.

    digest: of all that decides a run, so that a run is only taken up again by the same suite.
    """

    cases: Sequence[Case]
    left_out: Sequence[Json] = ()

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(json.dumps(each.as_json()) for each in self.cases).encode()).hexdigest()[:16]


def write_lines(cases: Iterable[Case], left_out: Iterable[Json] = ()) -> Iterable[str]:
    """The lines of a suite: cases, and then what is left out, so that who reads it knows."""
    for case in cases:
        yield json_line(case.as_json()) + "\n"
    for each in left_out:
        yield json_line(each) + "\n"


def read_lines(lines: Iterable[str]) -> Suite:
    """The suite that some lines hold. Raises SuiteError."""
    cases: list[Case] = []
    left_out: list[Json] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            raise SuiteError(f"line {number}: not JSON; a suite has one case in each line") from None
        if isinstance(value, dict) and "left_out" in value:
            left_out.append(value)
        else:
            cases.append(_case(value, number))
    counted = Counter(each.identity for each in cases)
    if again := [identity for identity, times in counted.items() if times > 1]:
        raise SuiteError(f"case: {_shown(again[0])} is there twice; give each case a name of its own")
    if not cases:
        raise SuiteError("the suite holds no case; keeprate cases export makes some")
    return Suite(cases, left_out)


def _case(value: Any, number: int) -> Case:
    if not isinstance(value, dict):
        raise SuiteError(f"line {number}: a case is an object, and this is {type(value).__name__}")
    identity = value.get("case")
    if not isinstance(identity, str) or not identity:
        raise SuiteError(f"line {number}: case: {_shown(identity)} is no name; give the case one, such as refund-1")
    for names, kind, word in ((_TEXTS, str, "a text"), (_LISTS, list, "a list"), (_OBJECTS, dict, "an object")):
        for name in names:
            if value.get(name) is not None and not isinstance(value[name], kind):
                raise SuiteError(f"line {number}: {name}: {_shown(value[name])} is not {word}")
    messages = value.get("input") or []
    if not all(isinstance(each, dict) and isinstance(each.get("role"), str) for each in messages):
        raise SuiteError(f'line {number}: input: each message is an object with a role, like {{"role": "user", …}}')
    known = {name: value[name] for name in (*_TEXTS, *_LISTS, *_OBJECTS) if value.get(name) is not None}
    return Case(identity, **{"app": "", "input": [], "source": {}, "checks": [], **known})


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"
