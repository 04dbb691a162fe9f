"""How a recovery is told of, and when it stands still."""

from keeprate.streams.state.recovery import Recovery


def test_a_recovery_says_how_far_it_is_and_how_long_it_will_take() -> None:
    """The rest at the pace so far."""
    recovery = Recovery(patience_s=120, tell_every_s=10)
    assert recovery.judge(100, True, 1_000)
    assert recovery.tell(100) == "recovering: 0 of 1,000 records of the changelog read in 0 s"
    assert recovery.judge(104, True, 750)
    assert recovery.tell(104) == ""
    assert recovery.judge(110, True, 500)
    assert recovery.tell(110) == "recovering: 500 of 1,000 records of the changelog read in 10 s, about 10 s left"
    assert recovery.judge(112, False, 0)
    assert (recovery.tell(112), recovery.left, recovery.took_s) == ("", 0, 10)


def test_a_recovery_that_reads_nothing_for_long_stands_still() -> None:
    """Each record that it reads starts the patience anew, and so does another recovery."""
    recovery = Recovery(patience_s=120, tell_every_s=10)
    assert recovery.judge(0, True, 10)
    assert recovery.judge(100, True, 9)
    assert recovery.judge(219, True, 9)
    assert not recovery.judge(220, True, 9)
    assert recovery.judge(221, False, 0)
    assert recovery.judge(1_000, True, 9)


def test_nothing_is_said_before_kafka_has_said_how_much_there_is() -> None:
    """A recovery of nothing is not worth a line."""
    recovery = Recovery(patience_s=120, tell_every_s=10)
    assert recovery.judge(0, True, 0)
    assert recovery.tell(0) == ""
    assert recovery.judge(500, True, 0)
