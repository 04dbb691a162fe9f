"""What a process does not need, it does not load: there are a dozen of them on a laptop."""

import subprocess
import sys

import pytest

_HEAVY = {"chdb", "confluent_kafka", "keeprate.schemas.events", "numpy", "pandas", "plotly", "pyarrow"}
_COMMANDS = "keeprate.deploy.commands"
_TREE = f"import typer; from {_COMMANDS}.tree import app; tree = typer.main.get_command(app)"
_INSERT = (
    "from clickhouse_connect.datatypes.registry import get_from_name; "
    "from clickhouse_connect.driver.insert import InsertContext; "
    "import keeprate.sinks.store.clickhouse; "
    "InsertContext('t', ['a'], [get_from_name('String')], data=[('x',)])"
)


def _loaded(code: str) -> str:
    told = f"{code}; import sys; print(sorted({_HEAVY} & {{name for name in sys.modules if sys.modules[name]}}))"
    return subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.strip()


def test_the_command_line_is_loaded_without_what_single_commands_need() -> None:
    """The engine, above all: it takes its time zone when it is loaded, so `keeprate store` loads it last."""
    assert _loaded(f"{_TREE}; assert len([*tree.commands.values()]) > 30") == "[]"


def test_a_command_is_loaded_without_the_others() -> None:
    """All of them together take longer than what most of them do."""
    told = f"{_TREE}; tree.commands['sink']; import sys; print([n for n in sys.modules if n.startswith({_COMMANDS!r})])"
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout
    assert "'keeprate.deploy.commands.run.sink'" in loaded
    assert "keeprate.deploy.commands.read" not in loaded
    assert "'keeprate.deploy.commands.run.worker'" not in loaded


def test_what_apps_take_of_the_package_is_all_there() -> None:
    """It is loaded when it is asked for; another name is refused as any other module refuses it."""
    told = "from keeprate import producers; print([n for n in producers.__all__ if not hasattr(producers, n)])"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout == "[]\n"
    with pytest.raises(ImportError, match="cannot import name 'Keeprat'"):
        exec("from keeprate.producers import Keeprat", {})


def test_an_insert_loads_no_library_of_frames() -> None:
    """ClickHouse's client would load pandas and numpy to ask whether rows are theirs."""
    assert _loaded(_INSERT) == "[]"
