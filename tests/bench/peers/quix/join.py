"""The join as the documentation of Quix Streams writes one: two topics concatenated, and a function with state.

python join.py BROKERS GROUP GENERATIONS FEEDBACK OUTCOMES STATE_DIR PARTITIONS
"""

import sys
from typing import Any

from feedback import apply, new_outcome
from quixstreams import Application, State

brokers, group, generations, feedback, outcomes, state_dir, _ = sys.argv[1:]


def join(event: dict[str, Any], state: State) -> dict[str, Any]:
    outcome = apply(state.get("outcome") or new_outcome(), event)
    state.set("outcome", outcome)
    return outcome


app = Application(
    broker_address=brokers,
    consumer_group=group,
    auto_offset_reset="earliest",
    state_dir=state_dir,
    loglevel="WARNING",
)
sources = [app.topic(name, key_deserializer="str", value_deserializer="json") for name in (generations, feedback)]
joined = app.topic(outcomes, key_serializer="str", value_serializer="json")

events = app.dataframe(sources[0]).concat(app.dataframe(sources[1]))
events.apply(join, stateful=True).to_topic(joined)

if __name__ == "__main__":
    app.run()
