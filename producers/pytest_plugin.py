"""A fixture for the tests of apps: `keeprate` has what the app emitted, and nothing leaves the process.

pytest_plugins = ["keeprate.producers.pytest_plugin"]     # in conftest.py

def test_an_answer_that_is_accepted_is_told(keeprate):
    answer("how?").accept()
    (accept,) = keeprate.of_type("action")
"""

from collections.abc import Iterator

import pytest

from keeprate.producers.testing import Recorded, recording


@pytest.fixture
def keeprate() -> Iterator[Recorded]:
    """What every client of the app emits during the test, which fails with an event that the contract refuses."""
    with recording() as recorded:
        yield recorded
    assert not recorded.dropped, "the log says which events were not taken, and why"
