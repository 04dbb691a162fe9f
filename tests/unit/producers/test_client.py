"""What a client takes, stamps, refuses and counts. Where there is a broker, it is librdkafka's in memory."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keeprate.producers import ClosedError, ContractError, FullError, Keeprate, SettingsError
from keeprate.producers.sending import kafka
from keeprate.producers.sending.accounts import Accounts
from keeprate.producers.sending.backlog import Backlog
from keeprate.producers.sending.segments import Segment
from keeprate.producers.testing import RecordingKeeprate
from keeprate.schemas.ids import foreign_id, uuid7

MOCK = {"test.mock.num.brokers": 1}


@pytest.fixture
def client() -> RecordingKeeprate:
    return RecordingKeeprate("docs", environment="test", strict=False)


@pytest.fixture
def taken(client: RecordingKeeprate) -> list[Any]:
    """What the client emitted, as a processor would read it."""
    return client.events


@pytest.fixture
def connected() -> Iterator[Keeprate]:
    """A client with a broker in memory."""
    opened = Keeprate("docs", kafka=MOCK)
    yield opened
    opened.close()


def test_emit_stamps_what_the_event_leaves_out(client: RecordingKeeprate, taken: list[Any]) -> None:
    """Id, time, version, app and environment are filled in; the sequence begins at 1 and ascends; the key is the id."""
    given = {"type": "action", "action": "shown", "generation_id": uuid7()}
    assert client.emit(given)
    assert client.emit(given)
    first, second = taken
    assert given == {"type": "action", "action": "shown", "generation_id": given["generation_id"]}
    assert first["app"] == "docs"
    assert first["environment"] == "test"
    assert first["producer_id"] == client.producer_id
    assert [first["producer_seq"], second["producer_seq"]] == [1, 2]
    assert first["event_id"] != second["event_id"]


def test_emit_keeps_what_the_event_gives(client: RecordingKeeprate, taken: list[Any]) -> None:
    """An importer's event_id, occurred_at and app stay; the client's own accounting does not give way."""
    given = {
        "type": "vote",
        "value": 1,
        "generation_id": uuid7(),
        "event_id": uuid7(),
        "occurred_at": 1_000_000_000_000,
        "app": "other",
        "producer_seq": 900,
    }
    assert client.emit(given)
    assert {name: taken[0][name] for name in ("event_id", "occurred_at", "app")} == {
        name: given[name] for name in ("event_id", "occurred_at", "app")
    }
    assert taken[0]["producer_seq"] == 1


def test_a_wrong_event_is_counted_and_never_raised(client: RecordingKeeprate, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal moves dropped[invalid] and its kind, and the log says it once per kind."""
    with caplog.at_level(logging.ERROR, "keeprate.producers"):
        for _ in range(3):
            assert not client.emit({"type": "vote", "value": 7, "generation_id": uuid7()})
        assert not client.emit(
            {"type": "action", "action": "shown", "generation_id": "x", "attributes": {"a": object()}}
        )
    stats = client.stats()
    assert stats.dropped == {"invalid": 4}
    assert stats.refusals == {"invalid value": 3, "invalid generation_id": 1}
    assert stats.accepted == 4
    assert len(caplog.records) == 2


def test_a_text_that_is_no_unicode_is_refused_and_not_raised(client: RecordingKeeprate) -> None:
    """Half of a surrogate pair cannot be UTF-8; the event is counted as invalid."""
    client.generation(output="\ud800")
    assert client.stats().dropped == {"invalid": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda client: client.emit(None),
        lambda client: client.emit({"type": ["action"]}),
        lambda client: client.generation(output=7),
        lambda client: client.generation(attributes={"a": object()}),
        lambda client: client.feedback(uuid7()).accept(7),
        lambda client: client.feedback(uuid7()).edit(None),
        lambda client: client.feedback(uuid7()).retention_check(current_text=7, original="x", elapsed_ms=1),
        lambda client: client.feedback("no id").vote(1),
    ],
)
def test_no_call_however_wrong_raises_into_the_app(client: RecordingKeeprate, wrong: Callable[[Any], Any]) -> None:
    """Values of any type are counted as invalid events, and the caller goes on; in strict mode they raise."""
    wrong(client)
    assert client.events == []
    assert client.stats().dropped == {"invalid": 1}
    strict = RecordingKeeprate("docs")
    with pytest.raises((ContractError, TypeError, AttributeError)):
        wrong(strict)


def test_what_is_tracked_is_a_function(client: RecordingKeeprate) -> None:
    """A text in its place is told where it is given, and not as a text that nobody can read, minutes later."""
    client.generation(output="x").accept().track("x")  # type: ignore[arg-type]
    assert client.stats().refusals == {"invalid track": 1}
    with pytest.raises(ContractError, match="an event is a dictionary, not NoneType"):
        RecordingKeeprate("docs").emit(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cost_usd": 1e300}, "cost_usd"),
        ({"cost_usd": -1}, "cost_usd"),
        ({"input_tokens": 2**63}, "input_tokens"),
        ({"latency_ms": 2**53}, "latency_ms"),
        ({"occurred_at": 1_764_000_000}, "occurred_at"),
        ({"occurred_at": 2_085_978_496_000}, "occurred_at"),
    ],
)
def test_what_no_call_can_have_is_counted_and_told_with_its_value(
    client: RecordingKeeprate, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any], field: str
) -> None:
    """A cost beyond every call's, a date in seconds or years ahead: field, value and bound are in the log, once."""
    for _ in range(2):
        client.generation(**wrong).vote(1)
    assert client.of_type("generation") == []
    assert client.stats().dropped == {"invalid": 2}
    assert client.stats().refusals == {f"invalid {field}": 2}
    (record,) = caplog.records
    assert f"{field}: " in record.getMessage()
    assert str(wrong[field]) in record.getMessage()


def test_an_event_over_one_mebibyte_is_counted_as_too_large(client: RecordingKeeprate) -> None:
    """The contract's limit holds before anything is sent."""
    client.generation(output=["x" * 600_000, "y" * 600_000])
    assert client.stats().dropped == {"too_large": 1}


def test_strict_raises_what_is_otherwise_counted() -> None:
    """In development a wrong call fails where it is made, with the field in the error."""
    with Keeprate("docs", strict=True, kafka=MOCK) as client:
        with pytest.raises(ContractError) as caught:
            client.feedback(uuid7()).flag("No Label")
        assert caught.value.field == "label"
    with pytest.raises(ClosedError):
        client.feedback(uuid7()).copy()


def test_a_closed_client_counts_what_comes_after() -> None:
    """Emitting after close is no error of the app's flow: it is dropped[closed]."""
    client = Keeprate("docs", kafka=MOCK)
    client.close()
    client.close()
    assert not client.emit({"type": "action", "action": "shown", "generation_id": uuid7()})
    assert client.stats().dropped == {"closed": 1}


def test_a_blocking_emit_raises_when_there_is_no_room_in_time(
    connected: Keeprate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`block=True` waits for room; without any it says for how long it waited."""
    monkeypatch.setattr(Backlog, "append", lambda *_: None)
    with pytest.raises(FullError) as caught:
        connected.emit({"type": "action", "action": "shown", "generation_id": uuid7()}, block=True, timeout_s=0.01)
    assert caught.value.waited_s >= 0.01
    assert connected.stats().dropped == {"full": 1}


def test_closing_ends_the_wait_of_a_blocking_emit(connected: Keeprate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for room without a limit is told that there will be none."""
    monkeypatch.setattr(Backlog, "append", lambda *_: None)
    threading.Timer(0.05, connected.close).start()
    with pytest.raises(ClosedError):
        connected.emit({"type": "action", "action": "shown", "generation_id": uuid7()}, block=True)
    assert connected.stats().dropped == {"closed": 1}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"app": "no spaces"}, "app"),
        ({"app": "docs", "environment": ""}, "environment"),
        ({"app": "docs", "content": "Off"}, "content"),
        ({"app": "docs", "kafka": {"partitioner": "random"}}, "kafka['partitioner']"),
        ({"app": "docs", "kafka": {"no.such.setting": 1}}, "brokers, kafka"),
    ],
)
def test_a_wrong_setting_is_refused_at_the_start(settings: dict[str, Any], field: str) -> None:
    """SettingsError names the parameter before any event is taken."""
    with pytest.raises(SettingsError) as caught:
        Keeprate(**settings)
    assert caught.value.field == field


def test_the_loaded_librdkafka_partitions_as_java_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The known-answer test passes on this library, and fails on another partitioner."""
    kafka.check_partitioner()
    monkeypatch.setattr(kafka, "PARTITIONER", "consistent_random")
    with pytest.raises(SettingsError, match="elsewhere"):
        kafka.check_partitioner()


def test_a_provider_id_gives_the_same_generation_each_time(client: RecordingKeeprate, taken: list[Any]) -> None:
    """An external id maps to one generation_id, and is kept."""
    handle = client.generation(external_id="resp_1")
    assert handle.id == foreign_id("docs", "resp_1") == taken[0]["generation_id"]
    assert taken[0]["external_id"] == "resp_1"


def test_a_generation_reads_its_texts_and_outcome(client: RecordingKeeprate, taken: list[Any]) -> None:
    """Bare texts become messages, choices are numbered, and an empty or failed output is named so."""
    handle = client.generation(input="q", output=["a\r\nb", "😀"], user="u", session="s")
    client.generation(output="")
    client.generation(error_type="Timeout")
    client.generation()
    assert taken[0]["input"] == [{"role": "user", "content": "q"}]
    assert [message["role"] for message in taken[0]["output"]] == ["assistant", "assistant"]
    assert [event.get("outcome") for event in taken] == ["produced", "empty", "failed", None]
    handle.choice(1).shown()
    assert taken[-1]["choice_index"] == 1
    assert (taken[-1]["length"], taken[-1]["lines"]) == (2, 1)
    assert taken[-1]["user"] == taken[0]["user"]


def test_the_verbs_give_the_events_of_the_contract(client: RecordingKeeprate, taken: list[Any]) -> None:
    """Each method emits one valid event of the kind it names."""
    handle = client.generation(output="return a + b")
    handle.shown(dwell_ms=900).accept_partial("return").accept().insert().copy().apply().reject().dismiss().ignore()
    handle.undo().action("x_read_aloud").vote(-1, comment="no").score(3, 1, 5).flag("hallucination").unflag(
        "hallucination"
    )
    handle.edit("return a - b").evaluation("judge", value=0.5, kind="llm", annotator="m")
    handle.retention_check(horizon_s=30, current_text="", elapsed_ms=30_000)
    assert client.stats().dropped == {}
    assert [event.get("action", event["type"]) for event in taken[1:]] == [
        *("shown", "accept_partial", "accept", "insert", "copy", "apply", "reject", "dismiss", "ignore", "undo"),
        *("x_read_aloud", "vote", "vote", "flag", "flag", "edit", "evaluation", "retention_check"),
    ]
    edit, check = taken[-3], taken[-1]
    assert (edit["distance"], edit["original_length"], edit["corrected_length"]) == (1, 12, 12)
    assert (check["status"], check["distance"], check["accept_seq"]) == ("removed", 12, 2)


def test_partial_accepts_repeat_the_sum(client: RecordingKeeprate, taken: list[Any]) -> None:
    """Each accept carries the length taken so far and the next accept_seq."""
    client.generation(output="abcdef").accept_partial("ab").accept_partial("abcd").accept()
    assert [(event["length"], event["accept_seq"]) for event in taken[1:]] == [(2, 1), (4, 2), (6, 3)]


def test_a_check_without_text_is_unobserved(client: RecordingKeeprate, taken: list[Any]) -> None:
    """What cannot be read is not taken for removed; the reason is sent."""
    handle = client.generation(output="abc").accept()
    handle.retention_check(horizon_s=30, elapsed_ms=30_000, reason="file_closed")
    client.feedback(handle.id).retention_check(horizon_s=30, current_text="abd", elapsed_ms=30_000, original="abc")
    assert (taken[-2]["status"], taken[-2]["reason"]) == ("unobserved", "file_closed")
    assert (taken[-1]["status"], taken[-1]["distance"]) == ("present", 1)


def test_a_check_sends_what_the_text_has_become(client: RecordingKeeprate, taken: list[Any]) -> None:
    """As `track` does: without it nobody can read what users made of a suggestion. Removed is the empty text."""
    handle = client.generation(output="abc").accept()
    for current in ("abd", "", None):
        handle.retention_check(horizon_s=30, current_text=current, elapsed_ms=30_000)
    assert [check.get("current_text", "-") for check in taken[-3:]] == ["abd", "", "-"]


@pytest.mark.parametrize(
    ("check", "field"),
    [
        ({"horizon_s": 30, "current_text": "abd", "original": "abc"}, "elapsed_ms"),
        ({"horizon_s": 30, "elapsed_ms": 30_000, "current_text": "abd"}, "original"),
    ],
)
def test_a_check_of_an_accept_made_elsewhere_says_when_it_was_and_of_what(
    client: RecordingKeeprate, check: dict[str, Any], field: str
) -> None:
    """The host's uptime is no time since the accept: the check is refused, and says what is wanted."""
    client.advance(86_400)
    client.feedback(uuid7()).retention_check(**check)
    assert client.events == []
    assert client.stats().refusals == {f"invalid {field}": 1}
    with pytest.raises(ContractError) as caught:
        RecordingKeeprate("docs").feedback(uuid7()).retention_check(**check)
    assert caught.value.field == field


def test_a_check_belongs_to_an_accept(client: RecordingKeeprate, taken: list[Any]) -> None:
    """To this handle's last one; to the first where it was made elsewhere, or to the one that is named."""
    handle = client.generation(output="abc").accept_partial("a").accept()
    fields: dict[str, Any] = {"horizon_s": 30, "elapsed_ms": 30_000, "current_text": "", "original": "abc"}
    handle.retention_check(**fields)
    client.feedback(handle.id).retention_check(**fields).retention_check(**fields, accept_seq=2)
    assert [event["accept_seq"] for event in taken[-3:]] == [2, 1, 2]


def test_a_user_without_a_salt_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The app's name is no secret: the first user that is given says what to set, and says it once."""
    monkeypatch.delenv("KEEPRATE_USER_SALT", raising=False)
    with caplog.at_level(logging.WARNING, "keeprate.producers"):
        unsalted = RecordingKeeprate()
        unsalted.generation(output="x").vote(1)
        assert caplog.records == []
        unsalted.feedback(unsalted.generation(user="alice").id, user="alice").vote(1)
        assert len(caplog.records) == 1
        assert "user_salt or KEEPRATE_USER_SALT" in caplog.text
        RecordingKeeprate(user_salt="s").generation(user="alice")
        monkeypatch.setenv("KEEPRATE_USER_SALT", "s")
        RecordingKeeprate().generation(user="alice")
        assert len(caplog.records) == 1
        monkeypatch.delenv("KEEPRATE_USER_SALT")
        RecordingKeeprate(content="hashed").generation(output="a text that can be guessed too", user="alice")
    assert len(caplog.records) == 2


def test_a_wrong_external_id_or_user_is_refused_by_name(client: RecordingKeeprate) -> None:
    """Half of a surrogate pair cannot be hashed to an identity; a user without a text has no pseudonym."""
    client.generation(external_id="\ud800")
    client.generation(user=Nameless())  # type: ignore[arg-type]
    client.feedback(uuid7(), user=Nameless()).vote(1)  # type: ignore[arg-type]
    assert client.events == []
    assert client.stats().refusals == {"invalid external_id": 1, "invalid user": 2}


class Nameless:
    """A user object whose text fails."""

    def __str__(self) -> str:
        raise LookupError("the session is closed")


def test_an_emit_that_interrupts_an_emit_has_its_turn(connected: Keeprate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler that emits in the middle of an emit neither hangs nor takes its number."""
    take, event = Accounts.take, {"type": "action", "action": "shown", "generation_id": uuid7()}

    def interrupted(accounts: Accounts, segment: Segment) -> None:
        monkeypatch.setattr(Accounts, "take", take)
        assert connected.emit(event)
        take(accounts, segment)

    monkeypatch.setattr(Accounts, "take", interrupted)
    assert connected.emit(event)
    assert connected.flush(30) == 0
    assert connected.stats().delivered == 2


def test_everything_taken_is_delivered(connected: Keeprate) -> None:
    """After a flush nothing is pending, and the accounts add up."""
    for _ in range(2_000):
        connected.generation(output="x").accept()
    assert connected.flush(30) == 0
    stats = connected.stats()
    assert (stats.accepted, stats.delivered, stats.pending, stats.lost) == (4_000, 4_000, 0, 0)
