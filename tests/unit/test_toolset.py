"""The set of functions that a model could call, as one name to cut numbers by."""

from keeprate.schemas.kinds import MAX_NAME
from keeprate.schemas.lift import fold, toolset
from tests.facts import Facts


def test_a_set_has_no_order_and_holds_each_once() -> None:
    """Frameworks list tools as they find them; the set is the same."""
    assert toolset(["search", "edit", "search"]) == toolset(["edit", "search"]) == "edit, search"


def test_a_long_set_is_still_a_name_of_its_own() -> None:
    """It fits where names do, and another set of as many is another one."""
    first, second = ([f"tool_number_{n}" for n in range(start, start + 60)] for start in (0, 1))
    assert len(toolset(first)) <= MAX_NAME
    assert toolset(first).startswith("60 tools, ")
    assert toolset(first) == toolset(first[::-1])
    assert toolset(first) != toolset(second)


def test_each_choice_has_the_set_and_a_call_without_tools_has_none() -> None:
    """What is not said takes no room in a worker's state."""
    facts = Facts()
    with_tools = fold([facts.generation("a", choice_count=2, tools_offered=["edit", "search"])])
    assert [outcome["tools"][-1] for outcome in with_tools.values()] == ["edit, search"] * 2
    assert all("tools" not in each for each in fold([facts.generation("b", tools_offered=[])]).values())
