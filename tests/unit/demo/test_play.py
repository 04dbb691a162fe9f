"""Playing: the past at once, the present on time, and after a stop nothing is missing and nothing is new twice."""

from dataclasses import replace
from pathlib import Path

import pytest

from keeprate.deploy.demo.play import (
    BAD_FOR_MS,
    Pace,
    Playback,
    bad_release,
    begin,
    load,
    play,
    resume,
    store,
    told_from_the_start,
)
from keeprate.deploy.demo.poison import EVERY, KINDS, spoil
from keeprate.deploy.demo.simulate import Departure
from keeprate.deploy.demo.story import DAY_MS
from keeprate.schemas.decode import ContractError, decode, encode

NOW = 20_000 * DAY_MS + 5 * 3_600_000
HOUR_MS = 3_600_000


class FakeClock:
    """Time passes only by sleeping."""

    def __init__(self, now_ms: int) -> None:
        self.at_ms = now_ms
        self.slept_s = 0.0

    def now_ms(self) -> int:
        return self.at_ms

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self.at_ms += max(1, round(seconds * 1000))


def _play(run: Playback, clock: FakeClock, until: int, speed: float = 0) -> tuple[Playback, list[Departure], list[int]]:
    sent: list[Departure] = []
    late_ms: list[int] = []

    def send(item: Departure) -> None:
        sent.append(item)
        late_ms.append(clock.at_ms - item.at)

    pace = Pace(clock, speed, clock.at_ms)
    return play(run, send, pace, lambda run: None, lambda at_ms: None, until), sent, late_ms


def _run(now_ms: int = NOW) -> Playback:
    return begin(seed=5, days=3, events=2000, live_events_per_s=0.5, brokers="here", now_ms=now_ms)


def _ids(sent: list[Departure]) -> set[tuple[int, str]]:
    return {(item.at, item.event["event_id"]) for item in sent}


def test_the_past_is_sent_at_once() -> None:
    """No time passes until the present is reached, and the number of events is about what was asked for."""
    clock = FakeClock(NOW)
    _, sent, _ = _play(_run(), clock, NOW)
    assert clock.slept_s == 0
    assert len(sent) == pytest.approx(2000, rel=0.2)


def test_the_present_is_sent_when_it_is_due() -> None:
    """Live, every item leaves in the millisecond in which it is due, checks of the past included."""
    clock = FakeClock(NOW)
    _, sent, late_ms = _play(_run(), clock, NOW + HOUR_MS)
    live = [late for item, late in zip(sent, late_ms, strict=True) if item.at > NOW]
    assert len(live) > 500
    assert max(live) <= 1


def test_live_begins_lively() -> None:
    """The first minutes have about the rate that was asked for, because earlier sessions echo in them."""
    run = begin(seed=5, days=1, events=500, live_events_per_s=5, brokers="here", now_ms=NOW)
    _, sent, _ = _play(run, FakeClock(NOW), NOW + 1_200_000)
    live = [item for item in sent if item.at > NOW]
    # The hour is a quiet one, so the later minutes are the measure.
    assert len([item for item in live if item.at < NOW + 300_000]) > 0.6 * len(live) / 4


def test_speed_stretches_the_past() -> None:
    """A thousand times faster than it happened."""
    clock = FakeClock(NOW)
    _, sent, _ = _play(_run(), clock, NOW, speed=1000)
    assert clock.slept_s == pytest.approx((sent[-1].at - sent[0].at) / 1e6, rel=0.01)


def test_a_second_start_sends_what_is_due_since_then_and_nothing_twice() -> None:
    """A stop of two hours in between loses no check of what was told before."""
    first, before, _ = _play(_run(), FakeClock(NOW), NOW + HOUR_MS)
    back_at = NOW + 3 * HOUR_MS
    second = resume(first, 0.5, back_at)
    _, after, _ = _play(second, FakeClock(back_at), back_at + HOUR_MS)
    assert not _ids(before) & _ids(after)
    told = {item.event["generation_id"] for item in before}
    assert [item for item in after if item.event["generation_id"] in told and item.event["type"] == "retention_check"]


def test_a_start_after_a_kill_repeats_only_what_was_sent() -> None:
    """With the state of the beginning, the same events go out again with the same ids."""
    _, before, _ = _play(_run(), FakeClock(NOW), NOW)
    _, again, _ = _play(resume(_run(), 0.5, NOW + 60_000), FakeClock(NOW + 60_000), NOW)
    assert again == before


def test_another_broker_is_told_everything() -> None:
    """The history of the run, from its first day."""
    first, before, _ = _play(_run(), FakeClock(NOW), NOW)
    fresh = resume(told_from_the_start(first, "there"), 0.5, NOW)
    _, after, _ = _play(fresh, FakeClock(NOW), NOW)
    assert _ids(after) == _ids(before)


def test_without_live_it_ends_by_itself() -> None:
    """A live rate of zero: the timeline ends with the last echo of the past."""
    run = replace(_run(), spans=(_run().spans[0], replace(_run().spans[1], events_per_s=0.0)))
    clock = FakeClock(NOW)
    ended = play(run, lambda item: None, Pace(clock, 0, NOW), lambda run: None, lambda at_ms: None)
    assert ended.sent_until < NOW + 3 * DAY_MS


def test_a_run_survives_its_file(tmp_path: Path) -> None:
    """What is stored is what is loaded; where nothing is stored, there is no run."""
    path = tmp_path / "demo" / "5.json"
    assert load(path) is None
    store(_run(), path)
    assert load(path) == _run()


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_every_bad_record_is_refused(kind: int) -> None:
    """Each in its own way, and none by accident passes."""
    _, sent, _ = _play(_run(), FakeClock(NOW), NOW)
    bad = spoil(EVERY * (kind + len(KINDS)), encode(sent[10].event))
    with pytest.raises(ContractError):
        decode(bad)
    assert spoil(EVERY + 1, b"") is None


def test_a_bad_release_is_of_one_version_and_of_the_hours_before() -> None:
    """So that it stands beside a demo that runs, and is old enough to be judged at once."""
    now_ms = 1_727_740_800_000
    sent = list(bad_release(1, now_ms))
    versions = {each.event.get("prompt_version") for each in sent if each.event["type"] == "generation"}
    assert (versions, {each.event["app"] for each in sent}) == ({"v5"}, {"editor"})
    assert now_ms - BAD_FOR_MS <= min(each.event["occurred_at"] for each in sent)
    assert max(each.at for each in sent) <= now_ms
    assert 1_000 < len(sent) < 10_000
