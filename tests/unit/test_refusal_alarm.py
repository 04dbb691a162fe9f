"""When nearly everything of one app is refused, and when it only looks so."""

import pytest

from keeprate.schemas.dead_letters import DeadLetter
from keeprate.schemas.refusal_alarm import FEWEST_RECORDS, MAX_APPS, WINDOW_RECORDS, RefusalAlarm


def letters(app: str, count: int) -> list[DeadLetter]:
    """So many refused records of an app."""
    return [DeadLetter("join", "invalid", "type", "required, and absent", "keeprate.feedback", 0, 1, app=app)] * count


def test_a_batch_of_refused_records_raises_an_alarm_once_and_says_why() -> None:
    """The app, the numbers, the last reason and the remedy."""
    alarm = RefusalAlarm()
    (raised,) = alarm.judge({"chat": 10}, letters("chat", 990))
    assert raised.raised
    for part in ("app chat: 990 of the last 1,000 records", "type: required", "keeprate dead-letters replay"):
        assert part in str(raised)
    assert alarm.judge({}, letters("chat", 100)) == []


def test_other_apps_do_not_hide_it_and_are_not_blamed() -> None:
    """An app's share is of its own records, however many others there are."""
    alarm = RefusalAlarm()
    changes = alarm.judge({"busy": 1_000_000, "chat": 0}, letters("chat", FEWEST_RECORDS) + letters("busy", 5))
    assert [change.app for change in changes] == ["chat"]


def test_records_that_name_no_app_are_judged_together() -> None:
    """Nonsense without an app is somebody's deploy as well."""
    (raised,) = RefusalAlarm().judge({"chat": 50}, letters("", FEWEST_RECORDS))
    assert (raised.app, str(raised).partition(":")[0]) == ("", "records that name no app")


def test_few_records_say_nothing() -> None:
    """One app's nonsense in a quiet hour is no alarm, until there is enough of it."""
    alarm = RefusalAlarm()
    assert all(alarm.judge({}, letters("chat", 1)) == [] for _ in range(FEWEST_RECORDS - 1))
    assert len(alarm.judge({}, letters("chat", 1))) == 1


def test_what_was_accepted_long_ago_does_not_hide_it() -> None:
    """Only the last records count, about ten thousand of them."""
    alarm = RefusalAlarm()
    for _ in range(100):
        alarm.judge({"chat": WINDOW_RECORDS}, letters("chat", 1))
    assert sum(len(alarm.judge({}, letters("chat", 1_000))) for _ in range(30)) == 1


def test_it_is_over_when_most_records_are_events_again() -> None:
    """And then it can be raised anew."""
    alarm = RefusalAlarm()
    alarm.judge({}, letters("chat", 2_000))
    assert alarm.judge({"chat": 1_000}, []) == []
    (cleared,) = alarm.judge({"chat": 2_000}, [])
    assert (cleared.app, cleared.raised) == ("chat", False)
    alarm.judge({"chat": 10 * WINDOW_RECORDS}, [])
    (again,) = [change for _ in range(40) for change in alarm.judge({}, letters("chat", 1_000))]
    assert again.raised


@pytest.mark.parametrize(("records", "refused"), [(5_000, 4_500), (5_000, 0), (1_000, 900)])
def test_the_share_itself_is_no_alarm(records: int, refused: int) -> None:
    """It takes more than nine tenths."""
    assert RefusalAlarm().judge({"chat": records - refused}, letters("chat", refused)) == []


def test_names_without_end_take_no_memory_without_end() -> None:
    """The app whose refusals are the oldest is forgotten, and its alarm with it."""
    alarm = RefusalAlarm()
    assert len(alarm.judge({}, letters("first", FEWEST_RECORDS))) == 1
    changes = [change for number in range(3 * MAX_APPS) for change in alarm.judge({}, letters(f"app{number}", 1))]
    assert [(change.app, change.raised) for change in changes] == [("first", False)]
    assert len(alarm._apps) == MAX_APPS
