"""Gates that are taken out of a trial's processes, to see that the account notices."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic_core import SchemaValidator

from keeprate.schemas import decode, lift
from keeprate.schemas.dead_letters import DeadLetter
from keeprate.schemas.outcome import Outcome
from keeprate.schemas.refusal_alarm import Alarm, RefusalAlarm
from keeprate.sinks.landing import rows
from keeprate.streams.join import feedback_join
from tests.fault.content.grammar import HOSTILE


def _no_bounds() -> None:
    """Numbers, times and what is nested may be anything that a parser reads."""
    decode._validate_json = decode._unbounded_validator().validate_json  # type: ignore[misc]
    decode._validate_list = SchemaValidator(decode._unbounded(decode._LIST)).validate_python  # type: ignore[misc]
    vars(decode)["fault_in"] = lambda value, depth=1: ""


def _refusals_stop() -> None:
    """Who refuses nearly all of an app's records stops, as it did when nearly all of anybody's were refused."""
    judge = RefusalAlarm.judge

    def stopping(self: RefusalAlarm, accepted: Mapping[str, int], letters: Sequence[DeadLetter]) -> list[Alarm]:
        alarms = judge(self, accepted, letters)
        if any(alarm.raised for alarm in alarms):
            # As a supervisor sees it who is not asked to wait.
            os._exit(1)
        return alarms

    RefusalAlarm.judge = stopping  # type: ignore[method-assign]


def _judging_raises() -> None:
    """A fault of ours: what judges a vote of the hostile app raises an error that nobody foresaw."""
    judge = lift._LIFTS["vote"]

    def raising(event: Any) -> Outcome:
        if event.app == HOSTILE:
            raise ZeroDivisionError("of a score by its scale")
        return judge(event)

    lift._LIFTS["vote"] = raising


def _no_quarantine() -> None:
    """What judging a record raises goes on to whoever called."""

    def not_set_aside(error: Exception, *_: Any, **__: Any) -> DeadLetter:
        raise error

    for module in (feedback_join, rows):
        vars(module)["quarantine"] = not_set_aside


SABOTAGE: Final[dict[str, Callable[[], None]]] = {
    "no_bounds": _no_bounds,
    "refusals_stop": _refusals_stop,
    "judging_raises": _judging_raises,
    "no_quarantine": _no_quarantine,
}
