"""A client of the collector that costs little itself: prepared requests over a few connections, by the event loop.

    python -m tests.bench.collector_client PORT KEY FILE BATCH CONNECTIONS

FILE has one event a line. Prints the events per second that were answered with 202; any other answer ends it.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop


def requests(key: str, lines: Sequence[bytes], batch: int) -> Iterator[bytes]:
    """Whole HTTP requests, `batch` events each, as JSON arrays."""
    for at in range(0, len(lines), batch):
        body = b"[" + b",".join(lines[at : at + batch]) + b"]"
        head = (
            "POST /v1/events HTTP/1.1\r\nHost: collector\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body


async def send(port: int, work: Iterator[bytes]) -> None:
    """Take requests until there are none, one after the other over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    for request in work:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202 "):
            raise RuntimeError(head.decode())
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
    writer.close()


async def main(port: int, key: str, lines: Sequence[bytes], batch: int, connections: int) -> float:
    """Send every event. Returns events per second."""
    prepared = list(requests(key, lines, batch))
    work = iter(prepared)
    started_s = time.perf_counter()
    await asyncio.gather(*(send(port, work) for _ in range(connections)))
    return len(lines) / (time.perf_counter() - started_s)


if __name__ == "__main__":
    given_port, given_key, given_path, given_batch, given_connections = sys.argv[1:]
    rate = uvloop.run(
        main(
            int(given_port),
            given_key,
            Path(given_path).read_bytes().splitlines(),
            int(given_batch),
            int(given_connections),
        )
    )
    sys.stdout.write(f"{rate}\n")
