"""Which alarms are told together: what was told once is told under the same name for as long as it stands."""

import pytest

from keeprate.streams.quality.causes import TOGETHER_S, DriftAlarm, cause_of

HOUR_S = 3600
AT = 1_000_000


def test_the_first_alarm_of_an_app_names_the_cause() -> None:
    """After its own prompt."""
    assert cause_of("inline", AT, AT + HOUR_S, []) == "inline"


@pytest.mark.parametrize("since", [AT, AT + 100 * HOUR_S])
def test_another_series_of_the_prompt_joins_whenever_it_fell(since: int) -> None:
    """Retention after a day closes a day after acceptance."""
    assert cause_of("inline", since, since + HOUR_S, [DriftAlarm("inline", AT, "chat")]) == "chat"


def test_another_prompt_joins_where_it_fell_at_the_same_time() -> None:
    """And is a cause of its own where it did not."""
    others = [DriftAlarm("chat", AT, "chat")]
    assert cause_of("inline", AT + TOGETHER_S, AT + 2 * HOUR_S, others) == "chat"
    assert cause_of("inline", AT + TOGETHER_S + 1, AT + 2 * HOUR_S, others) == "inline"


def test_what_took_long_to_find_is_dated_less_exactly() -> None:
    """Two days for little traffic: six hours apart may be one change."""
    others = [DriftAlarm("chat", AT, "chat")]
    assert cause_of("inline", AT + 6 * HOUR_S, AT + 54 * HOUR_S, others) == "chat"


def test_the_nearest_of_several_causes_is_joined() -> None:
    """Each alarm is told once."""
    others = [DriftAlarm("chat", AT, "chat"), DriftAlarm("agent", AT + 1800, "agent")]
    assert cause_of("inline", AT + 1700, AT + 2 * HOUR_S, others) == "agent"


def test_a_prompt_that_comes_back_joins_what_still_has_its_name() -> None:
    """Else two causes of one name would be one alert by chance."""
    assert cause_of("chat", AT + 50 * HOUR_S, AT + 51 * HOUR_S, [DriftAlarm("inline", AT, "chat")]) == "chat"
