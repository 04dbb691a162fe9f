"""When nearly everything is refused, and when it only looks so."""

import pytest

from keeprate.schemas.refusal_limit import FEWEST_RECORDS, WINDOW_RECORDS, RefusalLimit, TooManyRefusedError


def test_a_batch_of_refused_records_stops_and_says_why() -> None:
    """The numbers, the last reason and the remedy."""
    with pytest.raises(TooManyRefusedError, match=r"990 of the last 1,000 .* schema_version: .* --max-refused-share 1"):
        RefusalLimit().judge(1_000, 990, "schema_version: 2 is newer than 1")


def test_a_batch_that_stopped_it_is_judged_alike_again() -> None:
    """It is read again after a restart, and a second look must not let it through."""
    limit = RefusalLimit()
    for _ in range(3):
        with pytest.raises(TooManyRefusedError, match="2,000 of the last 2,000"):
            limit.judge(2_000, 2_000, "")


def test_few_records_say_nothing() -> None:
    """One app's nonsense in a quiet hour becomes dead letters, until there is enough of it."""
    limit = RefusalLimit()
    for _ in range(FEWEST_RECORDS - 1):
        limit.judge(1, 1, "")
    with pytest.raises(TooManyRefusedError):
        limit.judge(1, 1, "")
    limit.judge(500, 0, "")


def test_what_was_accepted_long_ago_does_not_hide_it() -> None:
    """Only the last records count, in whole batches."""
    limit = RefusalLimit()
    for _ in range(100):
        limit.judge(WINDOW_RECORDS, 0, "")
    for _ in range(9):
        limit.judge(WINDOW_RECORDS // 10, WINDOW_RECORDS // 10, "")
    limit.judge(1, 1, "")
    with pytest.raises(TooManyRefusedError):
        limit.judge(WINDOW_RECORDS // 10, WINDOW_RECORDS // 10, "")


@pytest.mark.parametrize(("share", "refused"), [(1.0, 5_000), (0.9, 4_500), (0.0, 0)])
def test_the_share_itself_is_allowed(share: float, refused: int) -> None:
    """It takes more than the share; 1 is no limit."""
    RefusalLimit(share).judge(5_000, refused, "")
