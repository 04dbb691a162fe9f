"""One stream of content with one seed: topics, groups, a database, a worker, a sink, and the account at the end.

A process that ends is started again, as any supervisor would, and counted: no record may end one.
"""

import json
import random
import re
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from confluent_kafka import Producer

from keeprate.deploy.local.process import ChildProcess
from keeprate.schemas.decode import ContractError, decode, encode
from keeprate.schemas.events import Event
from keeprate.schemas.topics import ALL, SOURCES, topic_of
from keeprate.sinks.facts.dead_letters import Filter, newest
from keeprate.sinks.store.clickhouse import Client, connect
from tests.fault.content.grammar import HOSTILE, Hostile
from tests.fault.content.innocent import INNOCENT, everything_said, innocent_log, insert_expected, one_more
from tests.fault.content.renamed import PREFIX
from tests.fault.content.wire import NotTakenError, Wire, partition_of
from tests.fault.lab import Lab, make_database
from tests.fault.nest import Nest
from tests.landing import PARTITIONS, end_offsets, ledger_faults, ledger_ranges
from tests.offsets import Offsets
from tests.streaming import produce, read

_PATIENCE_S: Final = 180.0
_MADE_BROKEN: Final = ("worker", "sink", "collector")
_RESTARTS: Final = 2
_BEGAN_MS: Final = int(time.time() * 1000)
"""When the innocent app's events are of: the same for all trials, so that what is to be said of it is asked once."""
_SHOWN: Final = 40
_PARTS: Final = 20
_AN_ERROR: Final = re.compile(r"[\w.]*(Error|Exception)\b|.*\b(ERROR|CRITICAL)\b")
_MOST_ENTRIES: Final = 1_000_000
_MOST_ENDS: Final = 8
"""A process that ended so often does so at every start."""
_NO_LIMIT_MS: Final = str(2**63 - 1)

At = tuple[str, int, int]
"""Topic, partition and offset."""


@dataclass
class Found:
    """What is wrong. Every list is empty when nothing is.

    ended: processes that ended by themselves, with the end of their log. lost: records that are nowhere. duplicated:
    records that are two rows or two entries. unaccounted: what the ledger, verify or a view cannot explain.
    changed: of the innocent app, what the store says otherwise than it would without the others.
    """

    ended: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unaccounted: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.ended or self.lost or self.duplicated or self.unaccounted or self.changed)

    def __str__(self) -> str:
        lines = []
        for name, each in vars(self).items():
            lines += [f"{name}: {len(each)}", *(f"  {one[:600]}" for one in each[:_SHOWN])]
        return "\n".join(lines)


class EndsAgainError(Exception):
    """Processes end, and no end of it comes: nothing more is to be learnt from this trial than what it has found."""


class ContentTrial:
    """Enter it: its processes run until the block ends. sabotage: names of `broken`, for all of them but `verify`."""

    def __init__(self, lab: Lab, seed: int, sabotage: Sequence[str] = ()) -> None:
        self.lab, self.rng, self.sabotage = lab, random.Random(seed), list(sabotage)
        self.now_ms = int(time.time() * 1000)
        self.found = Found()
        self.events = self.kills = 0
        self.name = f"c{seed}-{time.monotonic_ns()}"
        self.prefix, self.sink_group = f"{self.name}.", f"{self.name}-sink"
        self.directory = lab.directory / self.name
        self.log = innocent_log(_BEGAN_MS)
        self.others = tuple(sorted({event["generation_id"] for event in self.log})[:5])
        self._placed: dict[At, str] = {}
        self._left = [self.log[number::_PARTS] for number in range(_PARTS)]
        self._until_end = ExitStack()

    def __enter__(self) -> "ContentTrial":
        self.directory.mkdir()
        try:
            self._prepare()
        except BaseException:
            self._close()
            raise
        return self

    def _prepare(self) -> None:
        # Brokers of before Kafka 3.6 took records of any time, and its remedy is a setting.
        any_time = {"message.timestamp.after.max.ms": _NO_LIMIT_MS}
        self.lab.create_topics({self.prefix + topic.name: {**topic.config, **any_time} for topic in ALL})
        self._until_end.callback(lambda: self.lab.admin.delete_topics([self.prefix + topic.name for topic in ALL]))
        make_database(self.store_url)
        self._until_end.callback(_drop, self.lab, self._database)
        modules = ("tests.fault.content.renamed", "tests.fault.content.children")
        self._nest = self._until_end.enter_context(Nest(self.directory, modules, {PREFIX: self.prefix}))
        self.state = self.directory / "state"
        kind = self.rng.choice(("memory", "rocksdb"))
        self.worker = self.command("worker", brokers=self.brokers, group=self.name, data_dir=self.state, state=kind)
        self.sink = self.command(
            "sink", brokers=self.brokers, store=self.store_url, group=self.sink_group, linger_s=0.3
        )
        self.processes = [self.worker, self.sink]
        for process in self.processes:
            self.start(process)
        self._wire = self._until_end.enter_context(Wire(self.brokers, self.prefix))
        names = [topic.name for topic in ALL]
        self._joined = self._offsets(self.name, [topic.name for topic in SOURCES])
        self._landed = self._offsets(self.sink_group, names)

    @property
    def brokers(self) -> str:
        return self.lab.broker.bootstrap

    @property
    def store_url(self) -> str:
        return f"{self.lab.store.url}/{self._database}"

    @property
    def _database(self) -> str:
        return f"content_{self.name.replace('-', '_')}"

    def _offsets(self, group: str, topics: Iterable[str]) -> Offsets:
        own = [self.prefix + name for name in topics]
        return self._until_end.enter_context(Offsets(self.brokers, group, own, PARTITIONS))

    def command(self, name: str, **options: object) -> ChildProcess:
        """A `keeprate` command as a child, not started."""
        arguments = [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]
        return self._child(name, {"command": name, "arguments": arguments})

    def _child(self, name: str, options: dict[str, Any]) -> ChildProcess:
        log = self.directory / f"{name}.log"
        sabotage = self.sabotage if name in _MADE_BROKEN else []
        return self._nest.child(name, "tests.fault.content.children", options | {"sabotage": sabotage}, log)

    def start(self, process: ChildProcess) -> None:
        """Start a process, which is ended with the trial."""
        process.start()
        self._until_end.callback(process.kill)

    def write(self, records: Iterable[Hostile]) -> None:
        """Write records as they are, and some of the innocent app's in between."""
        for number, record in enumerate(records):
            if number % 40 == 0:
                self.write_some()
            try:
                partition, offset = self._wire.write(record)
            except NotTakenError:
                # The broker keeps it out, so nobody has to account for it.
                continue
            self._placed[self.prefix + record.topic, partition, offset] = record.what
            self.events += 1

    def write_some(self) -> None:
        """Write the next part of the innocent app's log, if there is one."""
        if self._left:
            self.produce(self._left.pop())

    def write_rest(self) -> None:
        """Write what is left of it."""
        while self._left:
            self.write_some()

    def transactions(self, aborted: Iterable[Event]) -> None:
        """Write events that are taken back, and some of the innocent app's that are not: Kafka keeps a mark of both."""
        producer = Producer({"bootstrap.servers": self.brokers, "transactional.id": self.name, "log_level": 0})
        producer.init_transactions(_PATIENCE_S)
        for log, end in ((aborted, producer.abort_transaction), (self._left.pop(), producer.commit_transaction)):
            producer.begin_transaction()
            for event in log:
                topic, key = self.prefix + topic_of(event["type"]).name, event["generation_id"].encode()
                producer.produce(topic, encode(event), key, partition_of(key))
            end(_PATIENCE_S)

    def produce(self, log: Sequence[Event]) -> None:
        """Write events as an app does."""
        records = [
            (self.prefix + topic_of(each["type"]).name, each["generation_id"].encode(), encode(each)) for each in log
        ]
        produce(self.brokers, records)
        self.events += len(records)

    def settle(self, after: str = "") -> None:
        """Return once everything is joined and landed. after: what was written last, for the record of what ended."""
        self.wait(self._joined.reached, after)
        self.wait(self._landed.reached, after)

    def wait(self, condition: Callable[[], bool], after: str = "") -> None:
        """Return once it holds. A process that ended is started again."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while not condition():
            assert not self.lab.breaking_off.is_set(), "broken off"
            if time.monotonic() > deadline_s:
                if self.found.ended:
                    # The group may wait for a member that ended while it joined, once for each of its ends.
                    raise EndsAgainError(f"after {after}: not within {_PATIENCE_S} s")
                raise TimeoutError(f"after {after}: not within {_PATIENCE_S} s\n{self.found}\n{self.logs()}")
            self._supervise(after)
            time.sleep(0.1)
        self._supervise(after)

    def _supervise(self, after: str) -> None:
        for process in self.processes:
            if not process.running:
                self.found.ended.append(f"{process.name}, after {after}: {_last_words(process)}")
                if len(self.found.ended) == _MOST_ENDS:
                    raise EndsAgainError(process.name)
                process.start()

    def restart(self) -> None:
        """Worker and sink are told to end and started again; then the worker is killed and its state deleted."""
        for number in range(_RESTARTS):
            for process in self.processes:
                if (code := process.terminate(60)) != 0:
                    self.found.ended.append(f"{process.name}, told to end: {code}, {_last_words(process)}")
            if number:
                shutil.rmtree(self.state, ignore_errors=True)
            for process in self.processes:
                process.start()
            self.produce(one_more(number, _BEGAN_MS))
            self.settle(f"restart {number + 1}")

    def account(self) -> None:
        """Look at all that came of it."""
        with connect(self.store_url) as store:
            self._account_records(store)
            self._account_ledger(store)
            self._compare(store)
            try:
                everything_said(store, HOSTILE, self.now_ms)
            except Exception as error:  # noqa: BLE001 - whatever a view raises, readers meet it
                self.found.unaccounted.append(f"views of {HOSTILE}: {type(error).__name__}: {error}")
        self._verify()

    def sources(self) -> dict[At, bytes | None]:
        """All that the source topics hold."""
        return {
            (topic, one.partition(), one.offset()): one.value()
            for topic in (self.prefix + each.name for each in SOURCES)
            for one in read(self.brokers, topic)
        }

    def _account_records(self, store: Client) -> None:
        rows = Counter[At]()
        identities = set()
        for table in ("generations", "feedback"):
            columns = "topic, partition, offset, app, toString(generation_id), toString(event_id)"
            for topic, partition, offset, *identity in store.query(f"SELECT {columns} FROM {table}"):
                rows[str(topic), int(partition), int(offset)] += 1
                identities.add((table, *identity))
        letters = self.dead_letters(store)
        self.found.duplicated += [f"{at} is {count} rows" for at, count in rows.items() if count > 1]
        self.found.duplicated += self._listed_twice(store)
        for at, value in self.sources().items():
            if at in rows and (reason := _refusal(value)):
                self.found.unaccounted.append(f"a row, though it is refused: {at} {reason}")
            if at not in rows and at not in letters and _identity_of(value) not in identities:
                self.found.lost.append(f"{at} {self._placed.get(at, 'innocent')}: {(value or b'')[:200]!r}")
        own = {self.prefix + topic.name for topic in SOURCES}
        for at, reasons in letters.items():
            # What the innocent app wrote, or the collector took.
            if at[0] in own and at not in self._placed:
                self.found.unaccounted.append(f"accepted, and then refused: {at} {reasons}")
        self.found.lost += [f"{at} {what} is no entry" for at, what in self._junk() if at not in letters]

    def _junk(self) -> list[tuple[At, str]]:
        own = {self.prefix + topic.name for topic in ALL} - {self.prefix + topic.name for topic in SOURCES}
        letters = self.prefix + "keeprate.dead-letters"
        return [(at, what) for at, what in self._placed.items() if at[0] in own and at[0] != letters]

    def dead_letters(self, store: Client) -> dict[At, list[str]]:
        """Of each refused record, by where it stands, what its letters say."""
        letters: dict[At, list[str]] = defaultdict(list)
        for topic, number, offset, reason in store.query(
            "SELECT topic, partition, offset, reason FROM dead_letters FINAL"
        ):
            letters[str(topic), int(number), int(offset)].append(str(reason))
        return letters

    def _listed_twice(self, store: Client) -> list[str]:
        """Records that `keeprate dead-letters list` has as more than one entry."""
        # A record may claim to be the replay of one that there never was.
        names = [str(one["name"]) for one in newest(store, Filter(), _MOST_ENTRIES)]
        own = Counter(name for name in names if name.startswith(self.prefix))
        return [f"{name} is {count} entries" for name, count in own.items() if count > 1]

    def _account_ledger(self, store: Client) -> None:
        ends = end_offsets(self.brokers, [self.prefix + topic.name for topic in ALL])
        self.found.unaccounted += ledger_faults(ledger_ranges(store, self.sink_group), ends)

    def _compare(self, store: Client) -> None:
        said = everything_said(store, INNOCENT, _BEGAN_MS)
        for name, rows in _said_alone(self.lab).items():
            if rows != said[name]:
                both = set(rows) ^ set(said[name])
                self.found.changed += [f"{name}: {row}" for row in sorted(both)]

    def _verify(self) -> None:
        options = {"command": "verify", "brokers": self.brokers, "store_url": self.store_url, "join_group": self.name}
        child = self._child("verify", options)
        child.start()
        self.wait(lambda: not child.running, "verify")
        if child.returncode != 0:
            self.found.ended.append(f"verify: {_last_words(child)}")
            return
        findings = json.loads(child.log_tail(1))
        sources = self.sources() if findings else {}
        self.found.unaccounted += [f"verify: {finding}" for finding in findings if not _explained(finding, sources)]

    def logs(self, lines: int = 12) -> str:
        """The end of each process's log."""
        return "\n".join(f"--- {each.log}\n{each.log_tail(lines)}" for each in self.processes)

    def _close(self) -> None:
        self._until_end.close()

    def __exit__(self, *_: object) -> None:
        self._close()


@cache
def _said_alone(lab: Lab) -> dict[str, list[str]]:
    """What the store says of the innocent app where nobody else sends anything."""
    database = f"content_alone_{time.monotonic_ns()}"
    url = f"{lab.store.url}/{database}"
    make_database(url)
    with connect(url) as client:
        more = [event for number in range(_RESTARTS) for event in one_more(number, _BEGAN_MS)]
        insert_expected(client, innocent_log(_BEGAN_MS) + more)
        said = everything_said(client, INNOCENT, _BEGAN_MS)
    _drop(lab, database)
    return said


def _drop(lab: Lab, database: str) -> None:
    # A store that a fault left unwell says so in the account.
    with suppress(Exception), connect(f"{lab.store.url}/default") as client:
        client.command(f"DROP DATABASE IF EXISTS {database}")


def _last_words(process: ChildProcess) -> str:
    """The errors at the end of its log, without the frames between them."""
    lines = [line for line in process.log_tail(200).splitlines() if _AN_ERROR.match(line)]
    return " | ".join(lines[-4:])


def _explained(finding: Mapping[str, str], sources: Mapping[At, bytes | None]) -> bool:
    """Whether what verify finds is what was done.

    Offsets at which a transaction has its mark hold no record: the ledger counts them as absent.
    """
    if finding["check"] == "I1" and (gap := re.fullmatch(r"(\S+)/(\d+) (\d+)-(\d+)", finding["where"])):
        topic, partition, first, last = gap.groups()
        return not any((topic, int(partition), at) in sources for at in range(int(first), int(last) + 1))
    return False


def _refusal(value: bytes | None) -> str:
    """Why the gate, which is whole in this process, does not take a record; nothing where it does."""
    try:
        decode(value)
    except ContractError as error:
        return str(error)
    return ""


def _identity_of(value: bytes | None) -> tuple[str, str, str, str] | None:
    """Of an event that was sent twice, what its row has too."""
    try:
        event = decode(value)
    except ContractError:
        return None
    table = "generations" if event["type"] == "generation" else "feedback"
    return table, event["app"], event["generation_id"], event["event_id"]
