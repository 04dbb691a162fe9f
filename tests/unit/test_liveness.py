"""Facts about when a worker is stuck."""

from keeprate.streams.liveness import Liveness


def test_work_that_is_not_done_for_long_is_stuck() -> None:
    """Lag without progress, beyond the patience."""
    liveness = Liveness(patience_s=120)
    assert liveness.judge(0, done=5, lag=10)
    assert liveness.judge(119, done=5, lag=10)
    assert not liveness.judge(120, done=5, lag=10)
    assert liveness.idle_s(120) == 120


def test_progress_starts_the_patience_anew() -> None:
    """Any record that was done is progress, however slow."""
    liveness = Liveness(patience_s=120)
    liveness.judge(0, done=5, lag=10)
    assert liveness.judge(100, done=6, lag=1000)
    assert liveness.judge(219, done=6, lag=1000)


def test_an_idle_worker_is_not_stuck() -> None:
    """Nothing to do, for as long as it may be."""
    liveness = Liveness(patience_s=120)
    liveness.judge(0, done=5, lag=0)
    assert liveness.judge(10_000, done=5, lag=0)
