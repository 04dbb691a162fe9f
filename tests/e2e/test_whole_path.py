"""From an app's emit to a number: the SDK, real Kafka, the worker, the sink, the real engine and the views."""

import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from keeprate.deploy.local.process import ChildProcess, accepts, free_port
from keeprate.deploy.local.stack import keeprate
from keeprate.producers import Keeprate
from keeprate.schemas.events import Event
from keeprate.schemas.topics import FEEDBACK, GENERATIONS
from keeprate.sinks.store.clickhouse import connect
from tests.collecting import CollectorProcess
from tests.devtools import Browser
from tests.e2e.conftest import Pipeline
from tests.landing import BROKEN
from tests.worked_example import NUMBERS, numbers, worked_example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def emit(pipeline: Pipeline, log: list[Event]) -> None:
    with Keeprate(app="worked-example", brokers=pipeline.brokers) as client:
        for event in log:
            assert client.emit(event, block=True)
        assert client.flush(30) == 0


def test_a_first_event_turns_the_page_green_and_every_number_comes_back(
    pipeline: Pipeline, require: Callable[[str], str], tmp_path: Path
) -> None:
    """The page's own snippet, through a collector; then the worked example, emitted in the order of life."""
    _turn_green(pipeline, require("chromium"), tmp_path)
    emit(pipeline, worked_example())
    pipeline.settle()
    with connect(pipeline.store_url) as store:
        assert numbers(store) == NUMBERS


def _turn_green(pipeline: Pipeline, chromium: str, directory: Path) -> None:
    """Open an empty page, run what it says to run, and see it say that it arrived."""
    port, home = free_port(), directory / "collector"
    home.mkdir()
    with CollectorProcess(home, pipeline.brokers, "my-app") as collector:
        env = pipeline.env | {"KEEPRATE_URL": collector.url}
        page = ChildProcess("the page", keeprate("page", f"--port={port}"), directory / "page.log", env)
        with page, Browser(chromium) as browser:
            page.wait_ready(lambda: accepts(port), 30)
            browser.open(f"http://127.0.0.1:{port}/")
            way = "document.querySelector('.first-event select')"
            browser.wait_for(f"!!{way}")
            browser.evaluate(f"void ({way}.value = 'Python, over HTTPS', {way}.dispatchEvent(new Event('change')))")
            code = "document.querySelector('.first-event code').textContent"
            browser.wait_for(f"{code}.includes({json.dumps(collector.url)})")
            assert browser.text(".arrival") == "Waiting for your first event…"
            snippet = browser.evaluate(code).replace("kr_…", collector.key)
            environment = os.environ | {"KEEPRATE_SPOOL_DIR": str(directory / "spool")}
            subprocess.run([sys.executable, "-c", snippet], env=environment, check=True)
            browser.wait_for("!!document.querySelector('.arrival.good')", 60)
            # The number that it made is below it, without a reload.
            browser.wait_for("!document.getElementById('numbers').hidden", 60)
            assert "of my-app arrived" in browser.text(".arrival.good")
            browser.screenshot(directory / "green.png")


def test_disorder_duplicates_and_kills_change_no_number(pipeline: Pipeline) -> None:
    """The same events shuffled and repeated, with worker and sink killed (-9) half way, twice."""
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    others = [event for n in range(30) for event in worked_example(f"other-{n}")]
    log = (worked_example() + others) * 2
    rng.shuffle(log)
    cuts = [0, len(log) // 3, 2 * len(log) // 3, len(log)]
    for begin, end in itertools.pairwise(cuts):
        emit(pipeline, log[begin:end])
        if end < len(log):
            time.sleep(rng.uniform(0, 2))
            for process in rng.sample([pipeline.worker, pipeline.sink], 2):
                process.kill()
                process.start()
    pipeline.settle()
    with connect(pipeline.store_url) as store:
        assert (seed, numbers(store)) == (seed, NUMBERS)
        for n in range(30):
            assert (seed, n, numbers(store, f"other-{n}")) == (seed, n, NUMBERS)
        (facts,) = store.query("SELECT (SELECT count() FROM generations FINAL) + (SELECT count() FROM feedback FINAL)")
    assert facts[0] == len(log) // 2, seed


def test_bad_input_is_listed_with_its_reason_and_the_pipeline_goes_on(pipeline: Pipeline) -> None:
    """Broken JSON, wrong types, a newer version, oversized and empty records end as dead letters, by both readers.

    And `tail` and `trace` say so.
    """
    producer = Producer({"bootstrap.servers": pipeline.brokers, "message.max.bytes": 8 << 20})
    for value in BROKEN:
        for topic in (GENERATIONS, FEEDBACK):
            producer.produce(topic.name, value, "0198c0de-0000-7000-8000-000000000001")
    assert producer.flush(30) == 0
    emit(pipeline, worked_example())
    pipeline.settle()
    with connect(pipeline.store_url) as store:
        assert numbers(store) == NUMBERS
    done = ran(pipeline, "dead-letters", "list", "--json", "--limit", "100")
    letters = json.loads(done)
    assert len(letters) == 2 * len(BROKEN)
    assert {tuple(sorted(letter["stages"])) for letter in letters} == {("join", "sink")}
    assert all(letter["reason"] for letter in letters)
    assert {letter["error_type"] for letter in letters} == {
        "empty",
        "not_json",
        "not_utf8",
        "too_large",
        "unknown_version",
        "unknown_type",
        "invalid",
    }
    _show_what_became_of_each(pipeline)


def _show_what_became_of_each(pipeline: Pipeline) -> None:
    """`tail` from the topics and `trace` from the store say of each event what became of it, in 80 columns."""
    arrivals = [json.loads(line) for line in ran(pipeline, *TAIL, "--json").splitlines()]
    log = worked_example()
    assert {each["event"].get("event_id") for each in arrivals} >= {event["event_id"] for event in log}
    assert {each["fate"] for each in arrivals if each["event"].get("app") == "worked-example"} == {"joined"}
    refused = [each for each in arrivals if each["fate"] == "refused"]
    assert len(refused) == 2 * len(BROKEN)
    assert all(each["why"] for each in refused)
    shown = ran(pipeline, *TAIL, "--type", "flag").splitlines()
    assert len(shown) >= sum(event["type"] == "flag" for event in log)
    accept = next(event for event in log if event["type"] == "action" and event["action"] == "accept")
    text = ran(pipeline, "trace", accept["event_id"])
    assert {len(line) <= 80 for line in (*shown, *text.splitlines())} == {True}
    assert "joined: shown" in text
    traced = json.loads(ran(pipeline, "trace", accept["generation_id"], "--json"))
    sent = [event["event_id"] for event in log if event["generation_id"] == accept["generation_id"]]
    assert sorted(fact["event"]["event_id"] for fact in traced["facts"]) == sorted(sent)
    assert {fact["event"]["producer_seq"] > 0 for fact in traced["facts"]} == {True}
    assert traced["fate"]["0"].startswith("joined")


TAIL = ("tail", "--last", "10000", "--for", "5", "--patience", "3")


def ran(pipeline: Pipeline, *arguments: str) -> str:
    """What a command says on its standard output."""
    env = os.environ | pipeline.env
    return subprocess.run(keeprate(*arguments), env=env, capture_output=True, text=True, check=True).stdout
