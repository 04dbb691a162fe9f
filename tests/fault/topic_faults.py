"""A topic that is deleted and made anew under its name: the sink says so and stops, whatever the new one holds."""

from keeprate.deploy.local.process import ChildProcess
from keeprate.sinks.store.clickhouse import connect
from tests.fault.sink_faults import LOAD
from tests.fault.trial import Fault, Trial


def _made_anew(running: bool, count: int) -> Fault:
    """count: how many records the new topic has. With as many as the old one had, every offset is there again."""

    def fault(trial: Trial) -> None:
        trial.load(LOAD)
        child = trial.sink(instance="one")
        trial.wait_landed()
        if not running:
            trial.end()
        before = _landed(trial)
        trial.make_topic_anew()
        trial.load(count)
        if not running:
            child = trial.sink(instance="one")
        _stops(trial, child)
        _stops(trial, trial.sink(instance="one", skip_lost=True))
        after = _landed(trial)
        assert after == before, f"{set(after) ^ set(before)}\n{trial.logs()}"
        trial.start_over()
        trial.sink(instance="one")

    return fault


def _stops(trial: Trial, child: ChildProcess) -> None:
    """The sink ends by itself, and says why and what to do."""
    assert trial.wait_ended(child) == 1
    assert "made anew" in child.log_tail()
    assert "--group" in child.log_tail()


def _landed(trial: Trial) -> list[tuple[object, ...]]:
    """How many rows and dead letters there are, and the ledger."""
    with connect(trial.store_url) as client:
        counts = "SELECT count() FROM generations UNION ALL SELECT count() FROM feedback"
        ledger = "SELECT topic, partition, first_offset, last_offset, rows FROM ledger ORDER BY ALL"
        return [*sorted(client.query(counts)), *client.query(ledger)]


FAULTS: dict[str, Fault] = {
    "topic made anew, shorter, no sink running": _made_anew(False, LOAD // 4),
    "topic made anew, longer, no sink running": _made_anew(False, LOAD * 2),
    "topic made anew, shorter, under a sink": _made_anew(True, LOAD // 4),
    "topic made anew, longer, under a sink": _made_anew(True, LOAD * 2),
}
