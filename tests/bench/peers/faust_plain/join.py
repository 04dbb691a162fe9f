"""The join as the documentation of Faust writes one: an agent, a table, one event after the other.

python join.py BROKERS APP_ID GENERATIONS FEEDBACK OUTCOMES STATE_DIR PARTITIONS
"""

import sys
from typing import Any

import faust
from feedback import apply, new_outcome

brokers, app_id, generations, feedback, outcomes, state_dir, partitions = sys.argv[1:]

app = faust.App(app_id, broker=f"kafka://{brokers}", datadir=state_dir, web_enabled=False)
sources = app.topic(generations, feedback, key_type=str, value_serializer="json")
joined = app.topic(outcomes, key_type=str, value_serializer="json")
table = app.Table("outcomes", default=new_outcome, partitions=int(partitions))


@app.agent(sources)
async def join(stream: Any) -> None:
    async for key, event in stream.items():
        outcome = apply(table[key], event)
        table[key] = outcome
        await joined.send(key=key, value=outcome)


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "--loglevel", "warn"]
    app.main()
