"""Emitting: how events get from an app, a file or a repository's history into Kafka.

    from keeprate.producers import Keeprate

    client = Keeprate("docs-assistant", environment="production")
    generation = client.generation(model="…", input=question, output=answer)
    generation.shown().accept().vote(+1)

Entry points:
    `sdk`         what an app holds and says: `client`, `generation`, `calls`, `tracking`, `content`
    `wrappers`    clients of model providers that tell of their calls by themselves
    `sending`     from an encoded event to an acknowledgement, by Kafka or HTTPS: `delivery`, `backlog`, `spool`
    `collector`   events and OpenTelemetry over HTTP
    `imports`     histories of repositories and files
    `text`        the distances and similarities of METRICS; `lexemes` has that of lexemes
    `errors`      the tree of errors

Invariant: `emit` waits for no disk and no broker; no entry raises into the app, whatever it is given.
Invariant: accepted = delivered + pending + spooled + dropped by reason, at any moment.
Invariant: what `emit` has taken survives a kill of the process, where a disk has room for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from keeprate.producers.errors import ClosedError, ContractError, FullError, ProducerError, SettingsError
    from keeprate.producers.sdk.client import Keeprate
    from keeprate.producers.sdk.fields import GenerationFields
    from keeprate.producers.sdk.generation import Generation
    from keeprate.producers.sdk.journal import Check
    from keeprate.producers.sdk.tracking import Unobserved
    from keeprate.producers.sending.stats import DROP_REASONS, Stats

__all__ = [
    "DROP_REASONS",
    "Check",
    "ClosedError",
    "ContractError",
    "FullError",
    "Generation",
    "GenerationFields",
    "Keeprate",
    "ProducerError",
    "SettingsError",
    "Stats",
    "Unobserved",
]

_PLACES: Final = {
    "sdk.client": ("Keeprate",),
    "sdk.fields": ("GenerationFields",),
    "sdk.generation": ("Generation",),
    "sdk.journal": ("Check",),
    "sdk.tracking": ("Unobserved",),
    "sending.stats": ("DROP_REASONS", "Stats"),
    "errors": ("ClosedError", "ContractError", "FullError", "ProducerError", "SettingsError"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A name of `__all__`, loaded when somebody asks for it: who needs a part alone loads that alone."""
        for place, names in _PLACES.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{place}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
