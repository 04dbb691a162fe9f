"""Each fault, once, with a seed that is printed; and proof that the account would notice a broken protocol."""

import random
from collections.abc import Callable, Iterator

import pytest

from keeprate.deploy.broker import KafkaBroker
from tests.fault.cells import SINK_FAULTS
from tests.fault.lab import Fault, Lab, Skipped, Trial, survive
from tests.fault.sink_faults import LOAD

pytestmark = [pytest.mark.slow, pytest.mark.clickhouse]

# What goes the way of another one that runs here; `make fault` makes these too.
LEFT_TO_MAKE_FAULT = {
    "store: too many parts",
    "store: read only",
    "upgrade between insert and ledger",
    "upgrade between ledger and commit",
    "topic made anew, shorter, no sink running",
    "topic made anew, shorter, under a sink",
    "fenced with inserts of several partitions under way",
    "network: broker slow",
    "network: broker resets",
    "network: store slow",
    "network: store cut off",
}
HERE = {name: fault for name, fault in SINK_FAULTS.items() if name not in LEFT_TO_MAKE_FAULT}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, kafka: KafkaBroker) -> Iterator[Lab]:
    """A broker and a store that may be killed."""
    with Lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def test_what_is_left_to_make_fault_exists() -> None:
    """A cell that is renamed comes back here."""
    assert set(SINK_FAULTS) >= LEFT_TO_MAKE_FAULT


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "fault"), HERE.items(), ids=HERE)
def test_every_record_lands_once_whatever_happens(lab: Lab, name: str, fault: Fault) -> None:
    """Rows, dead letters and the ledger account for each offset once after the fault has healed."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it with a failure
    try:
        outcome = survive(lab, name, fault, [seed])
    except Skipped as reason:
        pytest.skip(str(reason))
    assert outcome.clean, (seed, outcome)


def _killed_after(step: int, sabotage: str) -> Callable[[Trial], None]:
    def run(trial: Trial) -> None:
        trial.load(LOAD)
        child = trial.sink(at=(step, 2, "SIGKILL"), instance="one", sabotage=[sabotage])
        trial.wait_ended(child)
        # The next owner has more records at hand, and so cuts other ranges unless it is told.
        trial.load(LOAD)
        trial.sink(instance="one", sabotage=[sabotage], max_rows=5000)
        trial.wait_landed()

    return run


def test_without_the_intent_rows_are_doubled(lab: Lab) -> None:
    """A sink that skips step 1 inserts other cuts of the same records after a crash: the account says duplicated."""
    trial = lab.trial(random.randrange(10**6))
    _killed_after(4, "no_intent")(trial)
    assert trial.account().duplicated


def test_a_commit_before_the_insert_loses_rows(lab: Lab) -> None:
    """A sink that commits the end first and dies has records that are nowhere: the account says lost."""
    trial = lab.trial(random.randrange(10**6))
    _killed_after(1, "commit_first")(trial)
    found = trial.account()
    assert found.lost
    assert found.unaccounted


def test_an_unawaited_dead_letter_is_lost(lab: Lab) -> None:
    """A sink that ignores whether dead letters were delivered loses refused records: the account says lost."""
    trial = lab.trial(random.randrange(10**6))
    trial.load(LOAD)
    trial.sink(instance="one", sabotage=["no_delivery"])
    trial.wait_landed()
    assert trial.account().lost


def test_without_a_lasting_token_rows_are_doubled(lab: Lab) -> None:
    """The intent alone is not enough: a replay under another token inserts the range again."""
    trial = lab.trial(random.randrange(10**6))
    _killed_after(4, "new_tokens")(trial)
    assert trial.account().duplicated


def test_records_that_retention_removed_unread_stop_the_sink(lab: Lab) -> None:
    """It never jumps by itself. Told to go on, it has the lost offsets in the ledger as absent."""
    trial = lab.trial(random.randrange(10**6))
    trial.load(LOAD)
    trial.sink(instance="one")
    trial.wait_landed()
    trial.end()
    trial.load(LOAD)
    trial.remove_unread()
    stopped = trial.sink(instance="one")
    assert trial.wait_ended(stopped) != 0
    assert "retention removed offsets" in stopped.log_tail()
    trial.load(LOAD)
    trial.sink(instance="one", skip_lost=True)
    trial.wait_landed()
    found = trial.account()
    assert found.unaccounted == []
    assert len(found.lost) == LOAD


def test_without_the_topics_ids_a_longer_topic_is_jumped_over(lab: Lab) -> None:
    """A sink that takes a topic for the one before it begins in its middle and says nothing."""
    trial = lab.trial(random.randrange(10**6))
    trial.load(LOAD)
    trial.sink(instance="one")
    trial.wait_landed()
    trial.end()
    trial.make_topic_anew()
    trial.load(LOAD * 2)
    trial.sink(instance="one", sabotage=["any_topic"])
    trial.wait_landed()
    found = trial.account()
    # Of the old topic and the new one together, all but the new one's first LOAD records.
    assert found.rows + found.dead_letters < LOAD * 2.5
