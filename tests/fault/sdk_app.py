"""An app that emits, for tests to kill, fork and starve: python -m tests.fault.sdk_app MODE APP WAY SPOOL COUNT.

WAY is JSON: what a client is told of its way to Kafka. Each event says which of its key's events it is, in
attributes.n. Every hundred events the app prints how many it has emitted, so whoever kills it knows how many were
taken at least.
"""

import json
import os
import resource
import sys
import time
import uuid

from keeprate.producers import Keeprate

KEYS = 16


def emit_many(client: Keeprate, count: int, pad_bytes: int = 200) -> None:
    """Emit `count` events over some keys, for ever when it is 0."""
    keys = [str(uuid.uuid4()) for _ in range(KEYS)]
    number = 0
    while not count or number < count:
        event = {"type": "action", "action": "shown", "attributes": {"n": f"{number // KEYS}", "pad": "x" * pad_bytes}}
        client.emit({**event, "generation_id": keys[number % KEYS]})
        number += 1
        if number % 100 == 0:
            print(number, flush=True)  # noqa: T201


def fork_twice(client: Keeprate, count: int) -> None:
    """Emit in this process, in a child that exits in order and in one that ends without a word."""
    emit_many(client, count)
    for exits_in_order in (True, False):
        if (child := os.fork()) == 0:
            emit_many(client, count)
            if exits_in_order:
                sys.exit()
            os._exit(0)
        os.waitpid(child, 0)
    emit_many(client, count)


def track(client: Keeprate) -> None:
    """Have two checks to come, say so, and wait for the end."""
    client.generation(output="return a + b").accept().track(lambda: None, horizons_s=(3, 4), ref="cell 3")
    print(1, flush=True)  # noqa: T201
    time.sleep(60)


def overflow(client: Keeprate, count: int) -> None:
    """Emit more than memory holds, wait for a word, deliver what was kept, and give the accounts."""
    emit_many(client, count, 4_000)
    sys.stdin.readline()
    client.flush(60)
    client.close()
    stats = client.stats()
    sys.stdout.write(json.dumps({**vars(stats), "dropped": dict(stats.dropped)}) + "\n")


def main(mode: str, app: str, way: str, spool: str, count: str) -> None:
    """Run one mode. `exit` and `fork` end without closing the client."""
    if mode in ("no_disk", "overflow"):
        # Every file that grows beyond this fails as on a full disk, so no segment can be made.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    client = Keeprate(app, spool_dir=spool, **json.loads(way))
    if mode == "fork":
        fork_twice(client, int(count))
    elif mode == "track":
        track(client)
    elif mode == "overflow":
        overflow(client, int(count))
    else:
        emit_many(client, int(count))
    if mode == "no_disk":
        client.close()
        sys.stdout.write(f"{client.stats()}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
