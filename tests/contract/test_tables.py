"""The tables are the contracts of schemas/ in SQL: same fields, same merges, statements that may run twice."""

import re
from typing import get_type_hints

import pytest

from keeprate.schemas.events import Action, Edit, Envelope, Evaluation, Flag, Generation, RetentionCheck, Vote
from keeprate.schemas.outcome import FIELDS, KEY_COLUMNS
from keeprate.sinks.store.clickhouse import SchemaMismatchError
from keeprate.sinks.tables.migrate import Script, pending, scripts

LANDING = ("topic", "partition", "offset", "recorded_at", "stored_at")
# Texts and structures that are read whole, out of `event`, or not at all.
LEFT_IN_THE_EVENT = {
    "attributes", "input", "output", "parameters", "prompt_variables", "error_message", "type", "scale_min",
    "scale_max", "corrected_text", "explanation", "formatted", "original_lexemes", "lexeme_distance", "four_gram",
    "no_revert", "retained_length", "total_length", "branch_changed", "range_clipped", "current_text",
}  # fmt: skip


def _migration(name: str) -> Script:
    return next(script for script in scripts() if script.name == name)


def _statement(table: str) -> str:
    pattern = f"CREATE TABLE IF NOT EXISTS {table} "
    return next(text for script in scripts() for text in script.statements if text.startswith(pattern))


def test_the_outcomes_table_is_the_declared_semilattice() -> None:
    """The columns are KEY_COLUMNS and FIELDS, in order and in full, so that the engine merges as Python does."""
    body = _statement("outcomes").split("(\n", 1)[1].rsplit("\n)\nENGINE", 1)[0]
    first = [line.strip().rstrip(",") for line in body.splitlines()]
    expected = [*KEY_COLUMNS, *(field.column() for field in FIELDS)]
    assert [*first, *_added("outcomes")] == expected


def _added(table: str) -> list[str]:
    """The columns that later migrations add, each in a statement of its own."""
    pattern = rf"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS\s+(.*)"
    found = [re.fullmatch(pattern, text, re.DOTALL) for script in scripts() for text in script.statements]
    return [match[1] for match in found if match]


@pytest.mark.parametrize("table", ["generations", "feedback"])
def test_a_fact_has_a_column_for_each_field_that_is_read_out(table: str) -> None:
    """The fields of the JSONExtract and the columns with a default out of it are the same."""
    statement = _statement(table)
    read = re.findall(
        r"(\w+) [A-Z]\w+(?:\(\w+\))?(?=,|\s*\n\s*\)')", statement.split("'Tuple(")[1].split("\n  )'")[0] + "\n  )'"
    )
    columns = re.findall(r"^  (\w+) [^\n]*tupleElement\(fields, '(\w+)'\)", statement, re.MULTILINE)
    assert [name for name, _ in columns] == [source for _, source in columns] == read


@pytest.mark.parametrize(
    ("table", "types"),
    [("generations", [Generation]), ("feedback", [Action, Flag, Vote, Edit, RetentionCheck, Evaluation])],
)
def test_each_event_field_is_a_column_or_named_as_left_in_the_event(table: str, types: list[type]) -> None:
    """A field that is added to an event needs a column, or a place in the list of those that need none."""
    fields = {name for kind in (Envelope, *types) for name in get_type_hints(kind)}
    columns = set(re.findall(r"tupleElement\(fields, '(\w+)'\)", _statement(table)))
    assert columns <= fields
    assert fields - columns <= LEFT_IN_THE_EVENT


@pytest.mark.parametrize("table", ["generations", "feedback", "outcomes", "suggestions", "dead_letters", "ledger"])
def test_every_table_keeps_tokens(table: str) -> None:
    """Without a deduplication window an insert that is tried again is inserted again."""
    assert "non_replicated_deduplication_window = 10000" in _statement(table)


@pytest.mark.parametrize("table", ["generations", "feedback", "outcomes"])
def test_rows_of_one_identity_meet_in_one_partition(table: str) -> None:
    """The partition is a function of the id alone: no date of the row, and no clock."""
    key = re.search(r"PARTITION BY (.*)\n", _statement(table))
    assert key is not None
    identity = "generation_id" if table == "outcomes" else "event_id"
    names = set(re.findall(r"\b[a-z_]+\b(?!\()", re.sub(r"'[^']*'", "", key[1])))
    assert names == {identity}


def test_every_statement_may_run_twice() -> None:
    """Processes that migrate at the same time, and one that was cut off, run a statement again without harm."""
    harmless = re.compile(
        r"CREATE TABLE IF NOT EXISTS|CREATE MATERIALIZED VIEW IF NOT EXISTS|DROP \w+ IF EXISTS"
        r"|ALTER TABLE \w+ (ADD|DROP|MODIFY) (COLUMN|INDEX) IF (NOT )?EXISTS|ALTER TABLE \w+ DELETE WHERE"
    )
    for script in scripts():
        for statement in script.statements:
            assert harmless.match(statement), f"{script.name}: {statement[:80]}"


def test_migrations_are_numbered_without_a_gap() -> None:
    """The numbers are 1, 2, 3 …: two branches that added the same one are noticed."""
    numbers = [int(script.name[:4]) for script in scripts()]
    assert numbers == list(range(1, len(numbers) + 1))


FIRST = Script("0001_a", "CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = Null;")
SECOND = Script("0002_b", "CREATE TABLE IF NOT EXISTS b (x UInt8) ENGINE = Null;")


def test_only_what_is_new_is_pending() -> None:
    """An applied migration is not run again; what an older version noted of its views is no migration."""
    applied = {("migration", "0001_a"): FIRST.checksum, ("view", "c"): "of an older text"}
    assert pending([FIRST, SECOND], applied) == [SECOND]


def test_an_edited_migration_is_refused() -> None:
    """What was applied cannot be changed any more: the store and the file would disagree for ever."""
    with pytest.raises(SchemaMismatchError, match="0001_a was edited"):
        pending([FIRST], {("migration", "0001_a"): "of another text"})


def test_a_comment_may_be_corrected() -> None:
    """The checksum is of the statements."""
    assert Script("0001_a", "-- Why.\n" + FIRST.text).checksum == FIRST.checksum


def test_a_store_of_a_newer_version_is_refused() -> None:
    """A version that does not know a migration must not write into its tables."""
    with pytest.raises(SchemaMismatchError, match="upgrade"):
        pending([FIRST], {("migration", "0009_z"): "x"})
