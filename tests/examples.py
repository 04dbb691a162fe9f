"""How many examples a property is tried with, and which: the profiles of Hypothesis.

`make test` tries the same examples in every run, so a commit that passes here passes elsewhere. `make explore` draws
new ones and tries ten times as many.
"""

from typing import Final

from hypothesis import HealthCheck, settings

KEEPRATE: Final = "keeprate"
EXPLORE: Final = "explore"
_TIMES: Final = 10
_EXAMPLES: Final = 100


def register() -> None:
    """Make the profiles known and load the one of `make test`; `--hypothesis-profile explore` loads the other."""
    # How long an example takes says how busy the machine is.
    common = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
    settings.register_profile(KEEPRATE, common, derandomize=True, database=None)
    settings.register_profile(EXPLORE, common, max_examples=_TIMES * _EXAMPLES)
    settings.load_profile(KEEPRATE)


def examples(number: int) -> int:
    """`max_examples` of a property whose examples cost too much, or too little, for a hundred of them."""
    return number * (_TIMES if settings.get_current_profile_name() == EXPLORE else 1)
