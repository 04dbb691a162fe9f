"""Every fault with one seed, and proof that the account would notice a broken protocol.

The trials of all tests that are selected begin at the first of them and run side by side: a test waits for its own. So
the time of one says little, and a seed that fails is printed with what makes it again.
"""

import random
from collections.abc import Callable, Iterator

import pytest

from tests.fault import sabotage
from tests.fault.campaign import campaign
from tests.fault.cell import Cell, Outcome
from tests.fault.cells import IN_TEST
from tests.fault.content import cells as content_cells
from tests.fault.reading import cells as reading_cells
from tests.fault.sink_faults import LOAD
from tests.fault.skipped import Skipped

# A test may wait for the trials of all others.
pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.clickhouse, pytest.mark.timeout(1500)]

Ask = Callable[[str], Outcome]


@pytest.fixture(scope="module")
def outcome_of(
    request: pytest.FixtureRequest, kafka_runs: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ask]:
    """What came of a cell."""
    params = [item.callspec.params.get("cell") for item in request.session.items if hasattr(item, "callspec")]
    cells = [each for each in params if isinstance(each, Cell)]
    wanted = [(cell, random.randrange(10**6)) for cell in _in_turn(cells)]
    with campaign(tmp_path_factory.mktemp("faults"), wanted) as trials:

        def ask(name: str) -> Outcome:
            own = {seed: trial for (cell, seed), trial in trials.items() if cell == name}
            for seed, trial in own.items():
                print(f'make fault ONLY="{name}" FIRST_SEED={seed} SEEDS=1: {trial.exception() or trial.result()}')  # noqa: T201
            return sum((trial.result() for trial in own.values()), Outcome(name))

        yield ask


def _in_turn(cells: list[Cell]) -> list[Cell]:
    """One of content, which takes longest, and three others, again and again: no long one is left over at the end."""
    of_content = [cell for cell in cells if cell.name in content_cells.CELLS | content_cells.BROKEN]
    others = [cell for cell in cells if cell not in of_content]
    ordered = []
    while of_content or others:
        ordered += of_content[:1] + others[:3]
        of_content, others = of_content[1:], others[3:]
    return ordered


@pytest.mark.parametrize("cell", IN_TEST.values(), ids=IN_TEST)
def test_nothing_is_lost_doubled_or_unaccounted(outcome_of: Ask, cell: Cell) -> None:
    """Rows, dead letters and the ledger account for each offset once; joined outcomes are a single thread's."""
    try:
        outcome = outcome_of(cell.name)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert outcome.seeds == 1
    assert outcome.clean, outcome


def broken(name: str) -> pytest.MarkDecorator:
    """A test that asks for one broken sink, or one gate taken out."""
    cells = sabotage.CELLS | content_cells.BROKEN | reading_cells.BROKEN
    return pytest.mark.parametrize("cell", [cells[name]], ids=[name])


@broken(sabotage.NO_INTENT)
def test_without_the_intent_rows_are_doubled(outcome_of: Ask, cell: Cell) -> None:
    """A sink that skips step 1 inserts other cuts of the same records after a crash: the account says duplicated."""
    assert outcome_of(cell.name).duplicated


@broken(sabotage.COMMIT_FIRST)
def test_a_commit_before_the_insert_loses_rows(outcome_of: Ask, cell: Cell) -> None:
    """A sink that commits the end first and dies has records that are nowhere: the account says lost."""
    found = outcome_of(cell.name)
    assert found.lost
    assert found.unaccounted


@broken(sabotage.NO_DELIVERY)
def test_an_unawaited_dead_letter_is_lost(outcome_of: Ask, cell: Cell) -> None:
    """A sink that ignores whether dead letters were delivered loses refused records: the account says lost."""
    assert outcome_of(cell.name).lost


@broken(sabotage.NEW_TOKENS)
def test_without_a_lasting_token_rows_are_doubled(outcome_of: Ask, cell: Cell) -> None:
    """The intent alone is not enough: a replay under another token inserts the range again."""
    assert outcome_of(cell.name).duplicated


@broken(sabotage.TOKENS_BELIEVED)
def test_a_token_that_is_believed_loses_rows(outcome_of: Ask, cell: Cell) -> None:
    """A sink that takes a known token for rows in the table does not insert those that died with the store."""
    assert outcome_of(cell.name).lost


@broken(sabotage.OTHER_SHARD)
def test_rows_on_the_wrong_shard_are_found(outcome_of: Ask, cell: Cell) -> None:
    """A sink that takes the next shard loses and doubles nothing: what `verify` asks each shard tells."""
    found = outcome_of(cell.name)
    assert (found.lost, found.duplicated) == (0, 0)
    assert found.unaccounted


@broken(sabotage.RETENTION)
def test_records_that_retention_removed_unread_stop_the_sink(outcome_of: Ask, cell: Cell) -> None:
    """It never jumps by itself. Told to go on, it has the lost offsets in the ledger as absent."""
    found = outcome_of(cell.name)
    assert found.unaccounted == 0
    assert found.lost == LOAD


@broken(sabotage.ANY_TOPIC)
def test_without_the_topics_ids_a_longer_topic_is_jumped_over(outcome_of: Ask, cell: Cell) -> None:
    """A sink that takes a topic for the one before it begins in its middle and says nothing."""
    # Of the old topic and the new one together, all but the new one's first LOAD records.
    assert outcome_of(cell.name).lost > LOAD / 2


@broken(content_cells.NO_BOUNDS)
def test_without_bounds_what_was_accepted_is_refused_later(outcome_of: Ask, cell: Cell) -> None:
    """The collector says 202, and the store cannot read it: the account has what was accepted and then refused."""
    assert outcome_of(cell.name).unaccounted


@broken(content_cells.REFUSALS_STOP)
def test_a_limit_that_stops_lets_one_app_end_all(outcome_of: Ask, cell: Cell) -> None:
    """Ten thousand refusals of one app end whoever stops at them: the account says ended."""
    assert outcome_of(cell.name).ended


@broken(content_cells.SET_ASIDE)
def test_a_record_that_finds_a_fault_of_ours_is_set_aside_alone(outcome_of: Ask, cell: Cell) -> None:
    """Judging it raises: no process ends, nothing is lost, and the innocent app has its numbers."""
    found = outcome_of(cell.name)
    assert (found.ended, found.lost, found.changed) == (0, 0, 0)


@broken(content_cells.NO_QUARANTINE)
def test_without_quarantine_such_a_record_ends_the_worker(outcome_of: Ask, cell: Cell) -> None:
    """The same record, and nothing that sets it aside: the account says ended."""
    assert outcome_of(cell.name).ended


@broken(reading_cells.DERIVED_LATER)
def test_what_is_derived_after_the_commit_may_never_be(outcome_of: Ask, cell: Cell) -> None:
    """A sink that commits first, derives what it remembers and dies leaves suggestions as they were."""
    assert outcome_of(cell.name).lost


@broken(reading_cells.MARKED_ONCE)
def test_without_a_mark_a_stale_sum_is_believed(outcome_of: Ask, cell: Cell) -> None:
    """The suggestions are right, and the answers are not."""
    found = outcome_of(cell.name)
    assert found.changed
    assert not found.lost


@broken(reading_cells.NOT_CAUGHT_UP)
def test_what_lands_while_all_are_built_anew_must_be_derived_again(outcome_of: Ask, cell: Cell) -> None:
    """A table that is swapped in without what landed meanwhile has fewer suggestions, or older ones."""
    assert outcome_of(cell.name).lost
