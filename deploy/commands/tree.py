"""The tree of commands. Each is loaded when it is asked for: a process needs one, and all together take a while."""

import os
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from keeprate.deploy.settings import CONFIG_VARIABLE, PROCESSES, config_file
from keeprate.producers.errors import SettingsError

_COMMANDS: Final = {
    "agreement": "reviews.agreement:agreement",
    "collector": "run.collector:collector",
    "compare": "read.releases:compare",
    "demo": "run.demo:demo",
    "digest": "read.digest:digest",
    "doctor": "read.doctor:doctor",
    "drift": "read.drift:drift",
    "forget": "upkeep.forget:forget",
    "migrate": "upkeep.migrate:migrate",
    "monitor": "run.monitor:monitor",
    "store": "run.store:store",
    "sink": "run.sink:sink",
    "page": "run.page:page",
    "reconcile": "read.reconcile:reconcile",
    "releases": "read.releases:releases",
    "replay": "upkeep.replay:replay",
    "report": "read.report:report",
    "tail": "read.tail:tail",
    "trace": "read.trace:trace",
    "size": "read.size:compute_size",
    "suggestions": "read.suggestions:suggestions",
    "up": "run.up:up",
    "verify": "read.verify:verify",
    "why": "read.why:why",
    "worker": "run.worker:worker",
    "access": "upkeep.access:access",
    "alerts": "upkeep.alerts:alerts",
    "cases": "cases.group:cases",
    "dead-letters": "read.dead_letters:dead_letters",
    "import": "importing.exports:imports",
    "keys": "upkeep.keys:keys",
    "topics": "upkeep.topics:topics",
}
"""By name, the module below this package, and what the command or the group of commands is called there."""
_STYLE: Final[dict[str, Any]] = {
    "pretty_exceptions_show_locals": False,
    # Not rich: there, the brackets of "[default: …]" are markup and vanish.
    "rich_markup_mode": "markdown",
}


class _Commands(MutableMapping[str, Any]):
    """Those of the table, and what is added to them."""

    def __init__(self) -> None:
        self._there: dict[str, Any] = dict.fromkeys(_COMMANDS)

    def __getitem__(self, name: str) -> Any:
        if self._there[name] is None:
            self._there[name] = _load(name)
        return self._there[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._there[name] = command

    def __delitem__(self, name: str) -> None:
        del self._there[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._there)

    def __len__(self) -> int:
        return len(self._there)


class _Tree(TyperGroup):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Commands()


def _load(name: str) -> Any:
    """The command of a name, or the group. The environment may set a process's options, as KEEPRATE_SINK_LINGER_S."""
    module, _, called = _COMMANDS[name].partition(":")
    found = getattr(import_module(f"keeprate.deploy.commands.{module}"), called)
    alone = typer.Typer(**_STYLE)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        prefix = {"auto_envvar_prefix": f"KEEPRATE_{name.upper()}"} if name in PROCESSES else {}
        alone.command(name, context_settings=prefix)(found)
    return typer.main.get_group(alone).commands[name]


app = typer.Typer(
    name="keeprate",
    cls=_Tree,
    help="Keeprate tells a team what its users keep of what its model wrote.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    **_STYLE,
)


@app.callback()
def _keeprate(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(envvar=CONFIG_VARIABLE, help="A file of settings, TOML: see docs/deploying.md.", show_envvar=True),
    ] = None,
) -> None:
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    context.default_map = _defaults(context.command)


def _defaults(tree: Any) -> dict[str, Any]:
    """What the file of settings says of the options of processes. Raises SettingsError for an option there is not."""
    said = {name: table for name, table in config_file().items() if name in PROCESSES}
    for name, table in said.items():
        known = {parameter.name for parameter in tree.commands[name].params}
        if unknown := table.keys() - known:
            reason = f"[{name}] has {', '.join(sorted(unknown))}, and keeprate {name} takes {', '.join(sorted(known))}"
            raise SettingsError(CONFIG_VARIABLE, reason)
    return said
