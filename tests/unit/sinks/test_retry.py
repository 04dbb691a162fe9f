"""How long the sink waits for the store."""

from keeprate.sinks.store.retry import delay_s


def test_pauses_grow_and_end_growing() -> None:
    """Each attempt waits longer than the one before, up to a quarter of a minute."""
    pauses = [delay_s(None, attempt) for attempt in range(1, 40)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == 15


def test_a_store_that_is_overloaded_is_left_alone_for_longer() -> None:
    """Too many parts, memory and disk heal more slowly than a connection."""
    assert delay_s(252, 1) > delay_s(None, 1)
