"""Emitting: how events get from an app, a file or a repository's history into Kafka.

    from keeprate.producers import Keeprate

    client = Keeprate("docs-assistant", environment="production")
    generation = client.generation(model="…", input=question, output=answer)
    generation.shown().accept().vote(+1)

Entry points:
    `client`      Keeprate, which an app opens once
    `generation`  the handle of one suggestion, with the domain's verbs
    `delivery`    from an encoded event to a broker's acknowledgement
    `text`        the distances and similarities of METRICS
    `errors`      the tree of errors

Invariant: `emit` waits for no disk and no broker, and raises nothing into the app.
Invariant: accepted = delivered + pending + spooled + dropped by reason, at any moment.
Invariant: only `kafka` and `delivery` import confluent_kafka.
"""

from keeprate.producers.client import Keeprate
from keeprate.producers.errors import ClosedError, ContractError, FullError, ProducerError, SettingsError
from keeprate.producers.generation import Generation, GenerationFields
from keeprate.producers.stats import DROP_REASONS, Stats

__all__ = [
    "DROP_REASONS",
    "ClosedError",
    "ContractError",
    "FullError",
    "Generation",
    "GenerationFields",
    "Keeprate",
    "ProducerError",
    "SettingsError",
    "Stats",
]
