"""ClickHouse: whether it answers, its tables are this version's, users may do what they must, and clocks agree."""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Final

from keeprate.deploy.doctor.findings import Diagnosis, fault, note, ok
from keeprate.sinks.store.clickhouse import Client, SchemaMismatchError, StoreError, connect, shown
from keeprate.sinks.tables.migrate import applied, pending, scripts
from keeprate.sinks.tables.placing import check_place

CLOCKS_APART_S: Final = 5.0
TESTED: Final = (26, 9)
_TIMEOUT_S: Final = 15


def check(url: str, reader_url: str) -> Iterator[Diagnosis]:
    """Ask the store, as who writes and as who reads."""
    try:
        with connect(url, "default", answer_timeout_s=_TIMEOUT_S) as client:
            yield from _server(client)
        with connect(url, answer_timeout_s=_TIMEOUT_S) as client:
            yield from _tables(client)
            yield from check_answers(client, "who writes")
        if reader_url != url:
            with connect(reader_url, answer_timeout_s=_TIMEOUT_S) as client:
                yield from reader(client.query("SELECT getSetting('readonly')") != [(0,)])
                yield from check_answers(client, "who reads")
    except SchemaMismatchError as error:
        yield fault("store", f"{shown(url)}: {_line(error)}", "keeprate migrate; is the user right?")
    except StoreError as error:
        yield fault("store", f"{shown(url)}: {_line(error)}", "is KEEPRATE_STORE_URL right, and user, password and CA?")


def check_shards(urls: Sequence[str], partitions: int) -> Iterator[Diagnosis]:
    """Ask each shard whether it is the one that it is taken for, and its tables are this version's."""
    for number, url in enumerate(urls):
        try:
            with connect(url, answer_timeout_s=_TIMEOUT_S) as client:
                check_place(client, number, len(urls))
                yield from _tables(client)
        except SchemaMismatchError as error:
            yield fault("store shard", f"{shown(url)}: {_line(error)}", "keeprate migrate; or KEEPRATE_STORE_SHARDS")
        except StoreError as error:
            yield fault("store shard", f"{shown(url)}: {_line(error)}", "is KEEPRATE_STORE_SHARDS right?")
    if urls and partitions % len(urls):
        remedy = "a number of shards that divides the partitions; nothing is lost without it"
        yield note("store shards", f"{len(urls)} for {partitions} partitions: one that is away holds up more", remedy)


def check_answers(client: Client, who: str) -> Iterator[Diagnosis]:
    """Ask a store that reads shards whether one that is down is an error to this user, or left out of every number."""
    divided = "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND engine = 'Distributed' LIMIT 1"
    if client.query(divided):
        yield answers(who, client.query("SELECT getSetting('skip_unavailable_shards')") != [(0,)])


def answers(who: str, skips: bool) -> Diagnosis:
    """What is to be said of questions while a shard is down. Pure."""
    if skips:
        said = f"to {who}, numbers without a shard that is down look like whole ones"
        return fault("store answers", said, "set skip_unavailable_shards to 0 in the user's profile")
    return ok("store answers", f"to {who}, those of all shards or an error")


def _server(client: Client) -> Iterator[Diagnosis]:
    before_s = time.time()
    ((said, now_s, readonly),) = client.query(
        "SELECT version(), toUnixTimestamp64Milli(now64(3)) / 1000, getSetting('readonly')"
    )
    between_s = (before_s + time.time()) / 2
    yield version(str(said))
    yield clocks(float(now_s) - between_s)
    if int(readonly):
        remedy = "sink, monitor, migrate and upkeep need a user without readonly: KEEPRATE_STORE_USER"
        yield fault("store user", "who writes may only read", remedy)


def version(said: str) -> Diagnosis:
    """What is to be said of a server's version. Pure."""
    found = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
    if found < TESTED:
        return note("store", f"ClickHouse {said}, older than any that tests ran on", "upgrade to 26.9 or newer")
    return ok("store", f"ClickHouse {said}")


def clocks(ahead_s: float) -> Diagnosis:
    """What is to be said of the store's clock against ours. Pure."""
    if abs(ahead_s) > CLOCKS_APART_S:
        return fault("clocks", f"the store's is {ahead_s:+.1f} s from this machine's", "run NTP on both")
    return ok("clocks", f"the store's is within {CLOCKS_APART_S:.0f} s of this machine's")


def reader(is_read_only: bool) -> Iterator[Diagnosis]:
    """What is to be said of the user who reads. Pure."""
    if is_read_only:
        yield ok("store reader", "reads, and writes nothing")
    else:
        remedy = "ALTER USER … SETTINGS readonly = 2, and GRANT SELECT alone"
        yield note("store reader", "KEEPRATE_STORE_READER_USER may write, too", remedy)


def _tables(client: Client) -> Iterator[Diagnosis]:
    missing = pending(scripts(), applied(client))
    if missing:
        yield fault(
            "store tables", f"{len(missing)} migrations are pending, the first {missing[0].name}", "keeprate migrate"
        )
    else:
        yield ok("store tables", f"at {scripts()[-1].name}, as this version needs them")


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]
