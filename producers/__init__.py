"""Emitting: how events get from an app, a file or a repository's history into Kafka.

    from keeprate.producers import Keeprate

    client = Keeprate("docs-assistant", environment="production")
    generation = client.generation(model="…", input=question, output=answer)
    generation.shown().accept().vote(+1)

Entry points:
    `client`      Keeprate, which an app opens once
    `generation`  the handle of one suggestion, with the domain's verbs
    `calls`       a context manager and a decorator around calls of models and steps of agents
    `tracking`    looks at accepted texts again at each horizon
    `content`     what of texts leaves the process
    `stamping`    from what an app gave to the bytes of a record
    `refusals`    what could not be taken, counted and told once
    `delivery`    from an encoded event to a broker's acknowledgement, by way of `backlog` and `spool`
    `text`        the distances and similarities of METRICS; `lexemes` has that of lexemes
    `errors`      the tree of errors

Invariant: `emit` waits for no disk and no broker; no entry raises into the app, whatever it is given.
Invariant: accepted = delivered + pending + spooled + dropped by reason, at any moment.
Invariant: what `emit` has taken survives a kill of the process, where a disk has room for it.
"""

from keeprate.producers.client import Keeprate
from keeprate.producers.errors import ClosedError, ContractError, FullError, ProducerError, SettingsError
from keeprate.producers.fields import GenerationFields
from keeprate.producers.generation import Generation
from keeprate.producers.journal import Check
from keeprate.producers.stats import DROP_REASONS, Stats
from keeprate.producers.tracking import Unobserved

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
