"""The sink as a process that is killed by each event with a mark in it: as a record would that crashes the decoder."""

import os
import signal
import sys
from typing import Any, Final

from keeprate.deploy.commands import logs
from keeprate.schemas.structs.reading import read
from keeprate.sinks.landing import rows
from keeprate.sinks.landing.partition import FlushPolicy
from keeprate.sinks.landing.run import SinkSettings, run
from keeprate.sinks.landing.sink import SinkPolicy

MARK: Final = b"ends-the-sink"
STORE_MARK: Final = b"ends-the-store"


def main(brokers: str, store_url: str) -> None:
    """Run it until SIGTERM."""

    def deadly(value: bytes | None, *where: Any) -> Any:
        if MARK in (value or b""):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(value, *where)

    setattr(rows, "read", deadly)  # noqa: B010 (it is the module's own name for it)
    logs.start()
    # A static member is not waited for by the group when it comes back.
    kafka = {"group.instance.id": "one", "session.timeout.ms": 6000}
    run(SinkSettings(brokers, store_url, policy=SinkPolicy(FlushPolicy(linger_s=0.1)), kafka=kafka))


if __name__ == "__main__":
    main(*sys.argv[1:])
