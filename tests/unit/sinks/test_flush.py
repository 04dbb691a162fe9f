"""The six steps of a flush: their order, what they write, and where a retry goes on."""

from dataclasses import replace

import pytest

from keeprate.schemas.dead_letters import decode_headers
from keeprate.schemas.forgotten import NOBODY, Forgotten, digest
from keeprate.schemas.refusal_alarm import FEWEST_RECORDS, Alarm
from keeprate.sinks.kafka.errors import BrokerUnavailableError, DeliveryError, FencedError
from keeprate.sinks.landing.flush import LEDGER_COLUMNS, Destination, Flush
from keeprate.sinks.landing.intent import LIVES, Intent
from keeprate.sinks.landing.shards import Shard
from keeprate.sinks.store.clickhouse import SchemaMismatchError, StoreUnavailableError
from tests.unit.sinks.doubles import AT, GOOD, Doubles, flush_of, land
from tests.unit.sinks.records import FakeRecord


def test_the_steps_come_in_the_order_of_the_protocol() -> None:
    """Intent, dead letters, rows, ledger, commit: in this order and each once."""
    doubles = Doubles()
    flush, to = flush_of(doubles, GOOD % 1, b"broken", None)
    land(flush, to)
    assert doubles.calls == ["commit 0 intent", "letters", "insert feedback", "insert ledger", "commit 3"]
    assert tuple(doubles.ledger[0]) == LEDGER_COLUMNS
    assert {name: doubles.ledger[0][name] for name in ("rows", "dead_letters", "filtered", "absent")} == {
        "rows": 1,
        "dead_letters": 2,
        "filtered": 0,
        "absent": 0,
    }


def test_an_app_whose_records_are_all_refused_raises_an_alarm_and_stops_nobody() -> None:
    """Its records become dead letters, and another app's event lands."""
    doubles, alarms = Doubles(), list[Alarm]()
    flush, to = flush_of(doubles, *[b'{"app": "nonsense"}'] * FEWEST_RECORDS, GOOD % 1)
    land(flush, replace(to, on_alarm=alarms.append))
    assert doubles.calls == [
        "commit 0 intent",
        "letters",
        "insert feedback",
        "insert ledger",
        f"commit {FEWEST_RECORDS + 1}",
    ]
    assert [(alarm.app, alarm.raised) for alarm in alarms] == [("nonsense", True)]


def test_a_dead_letter_says_where_the_record_was() -> None:
    """Key and bytes are the record's; the headers name the stage and the place."""
    doubles = Doubles()
    flush, to = flush_of(doubles, b"broken")
    land(flush, to)
    key, value, headers = doubles.letters[0]
    letter = decode_headers(headers)
    assert (key, value) == (b"key", b"broken")
    assert (letter.stage, letter.topic, letter.partition, letter.offset) == ("sink", *AT, 0)


def test_a_retry_goes_on_at_the_step_that_failed() -> None:
    """A store that was away is asked again with the same token; the intent and the letters are not written again."""
    doubles = Doubles(fail={"insert feedback": [StoreUnavailableError("away")]})
    flush, to = flush_of(doubles, GOOD % 1, b"broken")
    with pytest.raises(StoreUnavailableError):
        land(flush, to)
    doubles.calls.clear()
    land(flush, to)
    assert doubles.calls == ["insert feedback", "query", "insert ledger", "commit 2"]


@pytest.mark.parametrize("deaths", range(1, 8))
def test_rows_whose_token_outlived_them_are_inserted_again(deaths: int) -> None:
    """However often the store dies between a token and its rows: each row and the ledger's is there, once."""
    doubles = Doubles(noted=deaths)
    flush, to = flush_of(doubles, GOOD % 1, GOOD % 2)
    for _ in range(deaths):
        with pytest.raises(StoreUnavailableError):
            land(flush, to)
    land(flush, to)
    assert doubles.data.count(GOOD % 1) == doubles.data.count(GOOD % 2) == 1
    assert len(doubles.ledger) == 1


def test_a_replay_asks_what_is_there() -> None:
    """Its first insert may be a former owner's second, so it is not believed either."""
    doubles = Doubles()
    flush, to = flush_of(doubles, GOOD % 1, GOOD % 2)
    land(flush, to)
    doubles.data = doubles.data.replace(GOOD % 2, b"")
    doubles.ledger.clear()
    again, _ = flush_of(doubles, GOOD % 1, GOOD % 2)
    again.replayed = True
    land(again, to)
    assert doubles.data.count(GOOD % 1) == doubles.data.count(GOOD % 2) == 1
    assert len(doubles.ledger) == 1


def test_a_part_waits_for_what_a_former_process_sent() -> None:
    """Its token would not stop the rows of the whole range, which the store may still be at."""
    doubles = Doubles(under_way=1)
    flush, to = flush_of(doubles, GOOD % 1)
    flush = Flush(flush.at, Intent(0, 0, "1.3", LIVES, (0, 9)), flush.records, replayed=True)
    flush.passed(to)
    with pytest.raises(StoreUnavailableError, match="still under way"):
        flush.run(to)
    assert "insert feedback" not in doubles.calls
    doubles.under_way = 0
    flush.run(to)
    assert doubles.calls.count("insert feedback") == 1


def test_what_a_former_attempt_landed_is_not_set_aside() -> None:
    """The process that landed it ended before it could say so: it is a row, and no letter beside."""
    doubles = Doubles(data=GOOD % 1)
    flush, to = flush_of(doubles, GOOD % 1)
    flush = Flush(flush.at, Intent(0, 0, "1.3", LIVES + 1), flush.records, replayed=True)
    land(flush, to)
    assert (flush.rows, flush.dead_letters, doubles.letters) == (1, 0, [])
    assert (doubles.ledger[0]["rows"], doubles.ledger[0]["dead_letters"]) == (1, 0)


def test_letters_that_merge_are_sent_anew_without_a_question() -> None:
    """A dead letter has no offset of its own in its table: the second try is under a token that nobody has used."""
    doubles = Doubles(noted=1)
    flush = Flush(("keeprate.dead-letters", 0), Intent(0, 0, "1.3"), [FakeRecord(0, b"poison")])
    to = Destination("sink", doubles, doubles, [Shard(doubles)], 3)
    with pytest.raises(StoreUnavailableError):
        land(flush, to)
    land(flush, to)
    assert b"poison" in doubles.data
    assert doubles.calls.count("query") == 0
    assert doubles.tokens[1] == ""


def test_a_commit_that_was_not_answered_is_made_again_alone() -> None:
    """When the coordinator was away at the end, nothing but the last commit is done again."""
    doubles = Doubles(fail={"commit 1": [BrokerUnavailableError("away")]})
    flush, to = flush_of(doubles, GOOD % 1)
    with pytest.raises(BrokerUnavailableError):
        land(flush, to)
    doubles.calls.clear()
    land(flush, to)
    assert doubles.calls == ["commit 1"]


def test_the_row_at_fault_is_found_by_halving() -> None:
    """A refused batch lands all but the refused row, which becomes a dead letter, and the ledger says so."""
    doubles = Doubles(refuse=b"000000000003")
    flush, to = flush_of(doubles, *(GOOD % n for n in range(1, 8)))
    land(flush, to)
    assert len(doubles.letters) == 1
    assert doubles.letters[0][1] == GOOD % 3
    assert (doubles.ledger[0]["rows"], doubles.ledger[0]["dead_letters"]) == (6, 1)
    assert len(set(doubles.tokens)) == len(doubles.tokens)


def test_halving_that_was_cut_off_does_not_refuse_twice() -> None:
    """When the store goes away in the middle of the halves, the refused row's letter is not written again."""
    doubles = Doubles(refuse=b"000000000001")
    flush, to = flush_of(doubles, *(GOOD % n for n in range(1, 5)))
    doubles.away_at_insert = 5
    with pytest.raises(StoreUnavailableError):
        land(flush, to)
    land(flush, to)
    assert [letter[1] for letter in doubles.letters] == [GOOD % 1]
    assert (doubles.ledger[0]["rows"], doubles.ledger[0]["dead_letters"]) == (3, 1)


def test_a_fenced_intent_writes_nothing() -> None:
    """When the first commit is refused, neither letters nor rows are written."""
    doubles = Doubles(fail={"commit 0 intent": [FencedError("fenced")]})
    flush, to = flush_of(doubles, GOOD % 1, b"broken")
    with pytest.raises(FencedError):
        land(flush, to)
    assert doubles.calls == ["commit 0 intent"]


def test_a_dead_letter_that_is_not_taken_stops_before_the_rows() -> None:
    """A delivery error leaves the offset where it was: nothing is inserted or committed after it."""
    doubles = Doubles(fail={"letters": [DeliveryError("not taken")]})
    flush, to = flush_of(doubles, GOOD % 1, b"broken")
    with pytest.raises(DeliveryError):
        land(flush, to)
    assert doubles.calls == ["commit 0 intent", "letters"]


def test_a_flush_that_waited_lands_without_who_was_forgotten_meanwhile() -> None:
    """Its rows are made anew, under the same token, and its dead letters are not written again."""
    who = NOBODY
    doubles = Doubles(fail={"insert feedback": [StoreUnavailableError("away")]})
    flush, to = flush_of(doubles, GOOD.replace(b'"app"', b'"user":"u1","app"') % 1, b"broken")
    to = replace(to, forgotten=lambda: who)
    with pytest.raises(StoreUnavailableError):
        land(flush, to)
    who = Forgotten({("", digest("u1")): "forgotten-1"})
    land(flush, to)
    assert b"forgotten-1" in doubles.data
    assert b"u1" not in doubles.data
    assert doubles.calls.count("letters") == 1


def test_a_refused_dead_letter_stops_the_sink() -> None:
    """The table of dead letters takes any record: when it does not, its shape is wrong, and no letter is written."""
    doubles = Doubles(refuse=b"poison")
    flush = Flush(("keeprate.dead-letters", 0), Intent(0, 0, "1.3"), [FakeRecord(0, b"poison")])
    with pytest.raises(SchemaMismatchError):
        land(flush, Destination("sink", doubles, doubles, [Shard(doubles)], 3))
    assert not doubles.letters
