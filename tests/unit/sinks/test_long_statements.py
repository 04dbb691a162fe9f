"""A statement that names many ids is longer than a server takes by default, and says so before it is read."""

import uuid
from typing import Any, cast

import pytest

from keeprate.sinks.reading.derive import DERIVED_AT_ONCE, derive
from keeprate.sinks.store.clickhouse import Client

TAKEN_BY_DEFAULT = 262_144
"""Bytes: `max_query_size`. What a statement itself says of it comes too late."""


class Driver:
    """Notes the bytes of each statement, and how many it is said to have at most."""

    def __init__(self) -> None:
        self.noted: list[tuple[int, int]] = []

    def command(self, statement: str, parameters: Any = None, settings: Any = None) -> None:
        self.noted.append((len(statement.encode()), int((settings or {}).get("max_query_size", TAKEN_BY_DEFAULT))))


@pytest.mark.parametrize("number", [1, 1_500, DERIVED_AT_ONCE])
def test_what_many_ids_are_derived_by_is_taken_by_a_server(number: int) -> None:
    """In as few statements as one generation takes."""
    driver = Driver()
    derive(Client(cast(Any, driver)), [("chat", str(uuid.uuid4())) for _ in range(number)])
    assert len(driver.noted) == 4
    assert all(length < most for length, most in driver.noted)
    assert (max(driver.noted)[0] > TAKEN_BY_DEFAULT) == (number == DERIVED_AT_ONCE)
