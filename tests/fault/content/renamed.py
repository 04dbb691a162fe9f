"""The registry with topics of a trial's own, in a process that is told so and imports this before anything else.

Names are taken from the registry when modules are imported, so it has to be early.
"""

import os
from typing import Final

from keeprate.schemas.topics import ALL

PREFIX: Final = "KEEPRATE_FAULT_TOPICS"
"""The environment's variable: what comes before the names. Unset, as in the tests themselves, all stays as it is."""

for topic in ALL:
    object.__setattr__(topic, "name", os.environ.get(PREFIX, "") + topic.name)
