"""What must hold of an answer: each check by itself, with its score and why it did not hold. For the base install.

exact       the expected output, but for the kind and number of line ends at its end
distance    Levenshtein over the longer length, as retention has it, is `below` a share
contains    it holds `text`, or the expected output
unlike      at least so much of it differs (`from`) from the output that users did not want
nonempty    it is not blank
schema      it is JSON that a JSON schema takes
judge       a judge gives it a score of at `least` so much
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from keeprate.deploy.cases.suite import Case, Json
from keeprate.producers.text import MOSTLY_BELOW, normalise, relative_distance

NAMES: Final = ("exact", "distance", "contains", "unlike", "nonempty", "schema", "judge")
_SHARES: Final = {"distance": ("below", MOSTLY_BELOW), "unlike": ("from", MOSTLY_BELOW), "judge": ("least", 0.5)}
_WORDS: Final = {"contains": "text"}


class CheckError(ValueError):
    """A check is none, or what it needs is not there. Says which, and what would do."""


@dataclass(frozen=True)
class Judgement:
    """What a judge says of an answer. score: from 0, as bad as can be, to 1."""

    score: float
    why: str = ""


Judge = Callable[[Case, str], Judgement]


@dataclass(frozen=True)
class Held:
    """Whether a check held of an answer. score: what was measured, where something is. why: in words, where not."""

    check: str
    held: bool
    score: float | None = None
    why: str = ""


def read_option(text: str) -> Json:
    """A check as the command line has it: `exact`, `distance=0.2`, `contains=refund`. Raises CheckError.

    `schema` is not among them: its schema is in a file, which the caller reads.
    """
    name, given, value = text.partition("=")
    if name in _SHARES and given:
        try:
            return checked({"check": name, _SHARES[name][0]: float(value)})
        except ValueError as error:
            raise CheckError(f"--check {text[:60]}: {error}; write a share, like {name}=0.33") from None
    return checked({"check": name} | ({_WORDS.get(name, "with"): value} if given else {}))


def checked(check: Any) -> Json:
    """The check, if it is one. Raises CheckError."""
    if not isinstance(check, dict) or check.get("check") not in NAMES:
        shown = check.get("check") if isinstance(check, dict) else check
        raise CheckError(f"check: {shown!r:.60} is none; choose from {', '.join(NAMES)}")
    name = check["check"]
    field, _ = _SHARES.get(name, ("", 0.0))
    for key, value in check.items():
        if key == field and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
            raise CheckError(f"{name}: {key}: {value!r:.60} is no share from 0 to 1")
        if key == "text" and name == "contains" and not isinstance(value, str):
            raise CheckError(f"contains: text: {value!r:.60} is no text")
        if key not in ("check", field, _WORDS.get(name), "schema" if name == "schema" else None):
            raise CheckError(f"{name} takes no {key!r:.60}")
    if name == "schema":
        _validator(check.get("schema"))
    return check


def applicable(checks: Sequence[Json], case: Case) -> Sequence[Json]:
    """The checks that a case can be held to: some need an expected output. That it answers, where none is left."""
    return [each for each in checks if _has_what_it_needs(each, case)] or [{"check": "nonempty"}]


def _has_what_it_needs(check: Mapping[str, Any], case: Case) -> bool:
    name = check["check"]
    if name in ("exact", "distance") or (name == "contains" and "text" not in check):
        return case.expected is not None
    return name != "unlike" or case.output is not None


def apply(check: Json, case: Case, output: str, judge: Judge | None = None) -> Held:
    """Hold an answer to a check. Raises CheckError where it needs a judge and there is none; what a judge raises."""
    name = check["check"]
    if name == "judge":
        if judge is None:
            raise CheckError("judge: there is none; give --judge-command, or --judge-url with --judge-model")
        said = judge(case, output)
        least = check.get("least", 0.5)
        return Held(name, said.score >= least, said.score, said.why or f"scored {said.score:.2f}, and needs {least:g}")
    if name == "schema":
        return _schema(check, output)
    return _PLAIN[name](check, case, output)


def failures_of(case: Case, output: str, judge: Judge | None = None) -> list[Held]:
    """The case's own checks that do not hold of an answer."""
    held = [apply(checked(each), case, output, judge) for each in applicable(case.checks, case)]
    return [each for each in held if not each.held]


def _exact(check: Json, case: Case, output: str) -> Held:
    same = normalise(output).rstrip("\n") == normalise(case.expected or "").rstrip("\n")
    return Held("exact", same, None, "" if same else "is not the expected output")


def _distance(check: Json, case: Case, output: str) -> Held:
    share, below = relative_distance(case.expected or "", output), check.get("below", MOSTLY_BELOW)
    held = share < below or share == 0
    return Held("distance", held, share, "" if held else f"{share:.0%} differs; less than {below:.0%} may")


def _unlike(check: Json, case: Case, output: str) -> Held:
    share, least = relative_distance(case.output or "", output), check.get("from", MOSTLY_BELOW)
    held = share >= least
    return Held("unlike", held, share, "" if held else f"only {share:.0%} differs from what users did not want")


def _contains(check: Json, case: Case, output: str) -> Held:
    wanted = check.get("text", case.expected or "")
    held = normalise(wanted) in normalise(output)
    return Held("contains", held, None, "" if held else f"does not hold {wanted[:40]!r}")


def _nonempty(check: Json, case: Case, output: str) -> Held:
    held = bool(output.strip())
    return Held("nonempty", held, None, "" if held else "is blank")


_PLAIN: Final[Mapping[str, Callable[[Json, Case, str], Held]]] = {
    "exact": _exact,
    "distance": _distance,
    "contains": _contains,
    "unlike": _unlike,
    "nonempty": _nonempty,
}


def _schema(check: Json, output: str) -> Held:
    try:
        value = json.loads(output)
    except (ValueError, RecursionError):
        return Held("schema", False, None, "is not JSON")
    from referencing.exceptions import Unresolvable

    try:
        error = next(iter(_validator(check["schema"]).iter_errors(value)), None)
    except Unresolvable as missing:
        raise CheckError(f"schema: it refers to {missing.ref!r:.60}, which is not in it") from None
    where = "" if error is None else "/".join(map(str, error.absolute_path)) or "the whole"
    return Held("schema", error is None, None, "" if error is None else f"{where}: {error.message[:120]}")


def _validator(schema: Any) -> Any:
    try:
        import jsonschema
        from referencing import Registry
    except ModuleNotFoundError as error:
        raise CheckError("schema needs jsonschema: pip install 'keeprate[cases]'") from error
    if not isinstance(schema, dict | bool):
        raise CheckError(f"schema: {schema!r:.60} is no JSON schema")
    of = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        of.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise CheckError(f"schema: {error.message[:120]}") from None
    # With a registry of nothing: a schema that names another by its address is not a reason to fetch it.
    return of(schema, registry=Registry())
