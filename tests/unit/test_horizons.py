"""Which horizon is meant where nobody chose one."""

import inspect
from collections.abc import Callable

import pytest

from keeprate.deploy.commands.cases.export import export
from keeprate.deploy.commands.read.suggestions import suggestions
from keeprate.deploy.commands.read.why import why
from keeprate.deploy.commands.reviews.agreement import agreement
from keeprate.deploy.horizons import USUAL_S, usual


@pytest.mark.parametrize(
    ("horizons_s", "chosen_s"),
    [((30, 120, 300, 600, 3600), USUAL_S), ((86_400, 604_800, 2_592_000), 604_800), ((15,), 15)],
)
def test_the_usual_one_is_chosen_where_it_is_looked_at(horizons_s: tuple[int, ...], chosen_s: int) -> None:
    """Else that in the middle, as of accepted code in git, which is looked at after days."""
    assert usual(horizons_s) == chosen_s


@pytest.mark.parametrize("command", [suggestions, export, why, agreement])
def test_every_command_has_the_horizon_of_the_page(command: Callable[..., None]) -> None:
    """So a number of the page and one of the terminal are of the same moment."""
    assert inspect.signature(command).parameters["horizon"].default == USUAL_S
