"""The ways from the sink to broker and store: slow, cut for longer than a session, and broken off now and then."""

import time
from collections.abc import Callable
from typing import Any

from tests.fault.links import Link
from tests.fault.sink_faults import LOAD
from tests.fault.trial import Fault, Trial

# The sinks of these trials have a session of six seconds.
CUT_S = 8.0

Harm = Callable[[Trial, Link], None]


def _on_the_way_to(end: str, harm: Harm) -> Fault:
    """The harm is done under load; then the sink goes on, or its supervisor starts it anew."""

    def fault(trial: Trial) -> None:
        link = trial.broker_link() if end == "broker" else trial.store_link()
        way: dict[str, Any] = (
            {"brokers": link.address} if end == "broker" else {"store_url": trial.store_url_at(link.port)}
        )
        trial.load(LOAD)
        trial.sink(**way)
        trial.wait_some_landed()
        harm(trial, link)
        link.heal()
        trial.load(LOAD)
        trial.supervise(**way)

    return fault


def slow(trial: Trial, link: Link) -> None:
    """Each piece is late by up to a fifth of a second."""
    link.slow_down(trial.rng.uniform(0.05, 0.2))
    trial.load(LOAD)
    time.sleep(4.0)


def cut(trial: Trial, link: Link) -> None:
    """Nothing passes for longer than the session, while another member is not cut off and takes over what it may."""
    link.cut()
    trial.load(LOAD)
    trial.sink()
    time.sleep(CUT_S)
    trial.wait(lambda: link.met > 0)


def reset(trial: Trial, link: Link) -> None:
    """One piece in some dozens breaks its connection off."""
    link.reset_some(trial.rng.uniform(0.02, 0.1), trial.rng)
    for _ in range(6):
        _load_for_a_moment(trial)
    while not link.met:
        _load_for_a_moment(trial)


def _load_for_a_moment(trial: Trial) -> None:
    trial.load(LOAD // 4)
    time.sleep(0.8)


FAULTS: dict[str, Fault] = {
    f"network: {end} {name}": _on_the_way_to(end, harm)
    for end in ("broker", "store")
    for name, harm in (("slow", slow), ("cut off", cut), ("resets", reset))
}
