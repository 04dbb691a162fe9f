"""Which connection goes when there is one too many."""

from typing import cast

from keeprate.producers.collector.gate.connections import BoundedProtocol, Connections


class Held:
    """What `Connections` looks at of a connection."""

    def __init__(self, peer: str, since_s: float, *, known: bool = False, idle: bool = True) -> None:
        self.peer = self.address = peer
        self.since_s, self.known, self.idle = since_s, known, idle
        self.ended = False

    def end(self) -> None:
        self.ended = True


def add(connections: Connections, held: Held) -> bool:
    return connections.add(cast("BoundedProtocol", held))


def test_the_longest_idle_one_that_sent_no_key_goes_first() -> None:
    """Then those with a key, and never one whose request is being handled."""
    connections = Connections(3, 3)
    keyed, old, busy = Held("a", 1, known=True), Held("b", 2), Held("c", 0, idle=False)
    assert all(add(connections, held) for held in (keyed, old, busy))
    new = Held("d", 3, idle=False)
    assert add(connections, new)
    assert (old.ended, keyed.ended, busy.ended) == (True, False, False)
    assert add(connections, Held("e", 4, idle=False))
    assert keyed.ended
    assert not add(connections, Held("f", 5))
    assert (busy.ended, new.ended, len(connections)) == (False, False, 3)


def test_an_address_beyond_its_limit_loses_its_own() -> None:
    """And not another's, however long that one is idle; a trusted proxy has no limit, for it has many clients."""
    told: list[str] = []
    connections = Connections(10, 2, exempt=lambda peer: peer == "proxy", refused=told.append)
    other, first, second = Held("b", 0), Held("a", 1), Held("a", 2)
    assert all(add(connections, held) for held in (other, first, second, Held("a", 3)))
    assert (other.ended, first.ended, second.ended) == (False, True, False)
    assert all(add(connections, Held("proxy", 9)) for _ in range(5))
    assert (told, len(connections)) == (["address"], 8)


def test_a_connection_that_ended_makes_room_once() -> None:
    """Both ends may say so."""
    connections = Connections(2, 1)
    held = Held("a", 0)
    assert add(connections, held)
    for _ in range(2):
        connections.remove(cast("BoundedProtocol", held))
    assert len(connections) == 0
    assert add(connections, Held("a", 1, idle=False))
    assert not add(connections, Held("a", 2))
