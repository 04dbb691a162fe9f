"""What can go wrong while emitting, one class per reaction.

    ProducerError
    ├── SettingsError   the client refuses to start: correct the setting it names
    ├── FullError       no room yet, with `block=True`: emit again later, or lower the rate
    └── ClosedError     the client is closed: open another

    ContractError       (of `keeprate.schemas`) the event is wrong: correct the call

`emit` raises FullError and ClosedError only in strict mode or with `block=True`, ContractError only in strict mode.
Otherwise it counts what it could not take, under `Stats.dropped`, and the app never sees an exception.
"""

from keeprate.schemas.explain import ContractError

__all__ = ["ClosedError", "ContractError", "FullError", "ProducerError", "SettingsError"]


class ProducerError(Exception):
    """The root: any reason why the client did not take an event or could not start."""


class SettingsError(ProducerError, ValueError):
    """A setting is wrong.

    field: the parameter at fault.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class FullError(ProducerError):
    """Every segment holds events that no broker has acknowledged.

    waited_s: how long the call waited for room.
    """

    def __init__(self, waited_s: float) -> None:
        super().__init__(f"no room after {waited_s:.1f} s: the brokers take less than the app emits")
        self.waited_s = waited_s


class ClosedError(ProducerError):
    """The client was closed before this event."""

    def __init__(self) -> None:
        super().__init__("the client is closed; open another with Keeprate(...)")
