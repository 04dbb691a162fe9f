"""Sinks whose protocol is broken, and records that are lost by design: what the account must find."""

from collections.abc import Callable
from typing import Final

from tests.fault.cell import Cell, Outcome
from tests.fault.lab import Lab
from tests.fault.sharded import ShardedTrial
from tests.fault.sink_faults import LOAD
from tests.fault.token_faults import kill_store
from tests.fault.trial import Together, Trial
from tests.landing import Account


def _cell(name: str, make: Callable[[Trial], None], kind: type[Trial] = Trial) -> Cell:
    def survive(lab: Lab, seed: int, together: Together) -> Outcome:
        trial = kind(lab, seed, together)
        try:
            make(trial)
            trial.wait_landed()
            return _outcome(name, trial, trial.account())
        finally:
            trial.close()

    return Cell(name, survive)


def _outcome(name: str, trial: Trial, found: Account) -> Outcome:
    counts = (len(found.lost), len(found.duplicated), len(found.unaccounted))
    return Outcome(name, 1, trial.events, trial.kills, *counts)


def _killed_after(step: int, sabotage: str) -> Callable[[Trial], None]:
    def make(trial: Trial) -> None:
        trial.load(LOAD)
        child = trial.sink(at=(step, 2, "SIGKILL"), instance="one", sabotage=[sabotage])
        trial.wait_ended(child)
        # The next owner has more records at hand, and so cuts other ranges unless it is told.
        trial.load(LOAD)
        trial.sink(instance="one", sabotage=[sabotage], max_rows=5000)

    return make


def _dead_letters_not_awaited(trial: Trial) -> None:
    trial.load(LOAD)
    trial.sink(instance="one", sabotage=["no_delivery"])


def _tokens_believed(trial: Trial) -> None:
    kill_store(trial, "feedback", sabotage=["tokens_believed"])


def _another_shard(trial: Trial) -> None:
    trial.load(LOAD)
    trial.sink(instance="one", sabotage=["other_shard"])


def _retention_overtakes(trial: Trial) -> None:
    """The sink stops, and is told to go on."""
    trial.load(LOAD)
    trial.sink(instance="one")
    trial.wait_landed()
    trial.end()
    trial.load(LOAD)
    trial.remove_unread()
    stopped = trial.sink(instance="one")
    assert trial.wait_ended(stopped) != 0
    assert "retention removed offsets" in stopped.log_tail()
    trial.load(LOAD)
    trial.sink(instance="one", skip_lost=True)


def _topic_made_anew(lab: Lab, seed: int, together: Together) -> Outcome:
    """lost: of the new topic's records and the old one's, those that are nowhere."""
    trial = Trial(lab, seed, together)
    try:
        trial.load(LOAD)
        trial.sink(instance="one")
        trial.wait_landed()
        trial.end()
        trial.make_topic_anew()
        trial.load(LOAD * 2)
        trial.sink(instance="one", sabotage=["any_topic"])
        trial.wait_landed()
        found = trial.account()
        return Outcome(ANY_TOPIC, 1, LOAD * 3, 0, lost=LOAD * 3 - found.rows - found.dead_letters)
    finally:
        trial.close()


NO_INTENT: Final = "without the intent"
COMMIT_FIRST: Final = "the commit before the insert"
NO_DELIVERY: Final = "dead letters not awaited"
NEW_TOKENS: Final = "another token for a replay"
TOKENS_BELIEVED: Final = "a token is believed"
RETENTION: Final = "retention overtakes the sink"
OTHER_SHARD: Final = "three shards: rows on the wrong one"
ANY_TOPIC: Final = "without the topics' ids"

CELLS: Final[dict[str, Cell]] = {
    NO_INTENT: _cell(NO_INTENT, _killed_after(4, "no_intent")),
    COMMIT_FIRST: _cell(COMMIT_FIRST, _killed_after(1, "commit_first")),
    NO_DELIVERY: _cell(NO_DELIVERY, _dead_letters_not_awaited),
    NEW_TOKENS: _cell(NEW_TOKENS, _killed_after(4, "new_tokens")),
    TOKENS_BELIEVED: _cell(TOKENS_BELIEVED, _tokens_believed),
    OTHER_SHARD: _cell(OTHER_SHARD, _another_shard, ShardedTrial),
    RETENTION: _cell(RETENTION, _retention_overtakes),
    ANY_TOPIC: Cell(ANY_TOPIC, _topic_made_anew),
}
