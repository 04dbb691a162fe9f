"""Content faults by name: the rows of `make fault` beside those of the machines."""

import json
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

from keeprate.producers.collector.otel.identity import span_generation_id
from keeprate.schemas.decode import validate
from keeprate.sinks.store.clickhouse import connect
from tests.fault.cell import Cell, Outcome, keep_evidence
from tests.fault.content.clients import Clients
from tests.fault.content.grammar import HOSTILE, Events, source_records
from tests.fault.content.junk import junk_records
from tests.fault.content.named import cases
from tests.fault.content.requests import requests
from tests.fault.content.trial import ContentTrial, EndsAgainError
from tests.fault.lab import Lab
from tests.fault.trial import Together

_RECORDS: Final = 400
_REQUESTS: Final = 120
_AT_ONCE: Final = 4
"""Reproductions between two waits: each lands alone or with others, as the seed has it."""
_GENERATION: Final = "SELECT 1 FROM generations WHERE generation_id = {id:UUID}"

Content = Callable[[ContentTrial, int], None]


def reproductions(trial: ContentTrial, seed: int) -> None:
    """Everything that once ended or blinded the pipeline, one after the other, in an order of the seed's."""
    send_named(trial, seed)


def send_named(trial: ContentTrial, seed: int, only: Collection[str] = ()) -> None:
    """The reproductions of these names; all where none is given."""
    clients = Clients(trial)
    named = [case for case in cases(trial.now_ms, trial.others) if not only or case.name in only]
    random.Random(seed).shuffle(named)
    for begin in range(0, len(named), _AT_ONCE):
        some = named[begin : begin + _AT_ONCE]
        for case in some:
            answers = clients.send(case.requests, [])
            trial.found.unaccounted += answers.wrong
            trial.write(case.records)
            trial.write_some()
        trial.settle(", ".join(case.name for case in some))
    trial.write_rest()
    trial.settle("all of it")


def through_the_collector(trial: ContentTrial, seed: int) -> None:
    """What a client may send. Whatever is answered 202 is a row, and never a dead letter."""
    clients, sent = Clients(trial), requests(seed, _REQUESTS, trial.now_ms, trial.others)
    events = [request for request in sent if request.path == "/v1/events"]
    half = len(trial.log) // 2
    answers = clients.send(events, trial.log[:half])
    there = sum(json.loads(value or b"{}")["app"] == HOSTILE for value in trial.sources().values())
    if there != answers.accepted:
        trial.found.lost.append(f"{answers.accepted} events were accepted, and {there} are in Kafka")
    spans = [request for request in sent if request.path != "/v1/events"]
    traced = clients.send(spans, trial.log[half:])
    trial.found.unaccounted += answers.wrong + traced.wrong
    trial.settle("what came through the collector")
    with connect(trial.store_url) as store:
        for trace_id, span_id in traced.spans:
            if not store.query(_GENERATION, {"id": span_generation_id(HOSTILE, trace_id, span_id)}):
                trial.found.lost.append(f"the generation of span {trace_id} {span_id}")


def into_kafka(trial: ContentTrial, seed: int) -> None:
    """Records of the source topics that no collector has seen."""
    events = Events(trial.rng, trial.now_ms)
    trial.transactions(map(validate, [events.valid("action") for _ in range(30)]))
    trial.write(source_records(seed, _RECORDS, trial.now_ms, trial.others))
    trial.write_rest()
    trial.settle("records of the source topics")


def into_our_topics(trial: ContentTrial, seed: int) -> None:
    """Junk among outcomes and dead letters, while records come."""
    trial.write(junk_records(seed, _RECORDS // 2, trial.now_ms, trial.others))
    trial.write_rest()
    trial.settle("junk")


def content_cell(name: str, content: Content, sabotage: tuple[str, ...] = ()) -> Cell:
    """lost: records that are nowhere. duplicated: records that are two. unaccounted: what nothing explains.

    ended: processes that ended. changed: of the innocent app, what is said otherwise than without the others.
    """

    def survive(lab: Lab, seed: int, together: Together) -> Outcome:
        with ContentTrial(lab, seed, sabotage) as trial:
            with suppress(EndsAgainError):
                content(trial, seed)
                trial.restart()
                trial.account()
            found = trial.found
            if not found.clean:
                keep_evidence(name, seed, f"{found}\n{trial.logs(400)}")
        counts = (found.lost, found.duplicated, found.unaccounted, found.ended, found.changed)
        return Outcome(name, 1, trial.events, trial.kills, *map(len, counts))

    return Cell(name, survive)


CONTENT: Final[dict[str, Content]] = {
    "content: what once ended the pipeline": reproductions,
    "content: through the collector": through_the_collector,
    "content: into Kafka": into_kafka,
    "content: into outcomes and dead letters": into_our_topics,
}
CELLS: Final[dict[str, Cell]] = {name: content_cell(name, content) for name, content in CONTENT.items()}


def _only(*names: str) -> Content:
    return lambda trial, seed: send_named(trial, seed, names)


NIL: Final = "10,000 votes with the nil UUID"
NO_BOUNDS: Final = "content: without bounds of numbers"
REFUSALS_STOP: Final = "content: an app's refusals stop whoever refuses"
SET_ASIDE: Final = "content: judging a vote raises"
NO_QUARANTINE: Final = "content: judging a vote raises, and nothing is set aside"

BROKEN: Final[dict[str, Cell]] = {
    name: content_cell(name, _only(*cases_), sabotage)
    for name, cases_, sabotage in (
        (NO_BOUNDS, ("1e400", "an integer beyond 64 bits"), ("no_bounds",)),
        (REFUSALS_STOP, (NIL,), ("refusals_stop",)),
        (SET_ASIDE, ("one event_id, two contents",), ("judging_raises",)),
        (NO_QUARANTINE, ("one event_id, two contents",), ("judging_raises", "no_quarantine")),
    )
}
"""Gates taken out: what the account must find, and what quarantine must keep from happening."""
