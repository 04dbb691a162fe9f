"""A shop for real browsers: pages that load the built package, and the collector's own application before a list.

The collector is the real one, with its keys, origins, quotas and answers; only Kafka behind it is a list. It can be
told to answer badly.
"""

import asyncio
import contextlib
import json
import random
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal, cast

import uvicorn
from starlette.applications import Starlette

from keeprate.deploy.local.process import accepts, free_port
from keeprate.producers.collector.batches import AcceptedEvent
from keeprate.producers.collector.errors import UNAVAILABLE, RequestError
from keeprate.producers.collector.gate.keys import Keys
from keeprate.producers.collector.publisher import Publisher
from keeprate.producers.collector.server import assemble, build
from keeprate.producers.collector.settings import CollectorSettings

DIST: Final = Path(__file__).parents[2] / "producers" / "js" / "dist"
PAGE: Final = """<!doctype html><link rel="icon" href="data:,"><title>shop</title><textarea id="text"></textarea>
<script type="module">
import { Keeprate, indexedDbSpool } from "/esm/index.js";
const { url, key } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const spool = indexedDbSpool("shop");
const add = spool.add;
window.emitted = 0;
window.stored = [];
spool.add = async (bodies) => {
  const keys = await add(bodies);
  stored.push(...bodies.map((body) => JSON.parse(body).event_id));
  return keys;
};
window.client = new Keeprate("shop", { url, key, spool, lingerMs: 5, retryMs: 20 });
window.handle = client.feedback("0197c0de-0000-7000-8000-000000000001", { user: "h4sh" });
window.busy = (everyMs) => setInterval(() => {
  for (let many = 1 + Math.floor(Math.random() * 3); many; many--, emitted++) {
    handle.vote(1, { comment: "x".repeat(Math.floor(Math.random() ** 4 * 3000)) });
  }
}, everyMs);
</script>
"""
Mood = Literal["well", "slow", "lost answers", "away", "moody"]


class ListedPublisher:
    """What the collector hands records to. mood: how it answers; `lost answers` takes them and says that it did not."""

    def __init__(self) -> None:
        self.mood: Mood = "well"
        self.events: list[dict[str, Any]] = []

    async def publish(self, records: Sequence[AcceptedEvent]) -> list[tuple[int, str]]:
        mood = random.choice(("well", "slow", "lost answers", "away")) if self.mood == "moody" else self.mood
        if mood == "slow":
            await asyncio.sleep(random.uniform(0.02, 0.3))
        if mood != "away":
            self.events += [json.loads(record.value) for record in records]
        if mood in ("lost answers", "away"):
            raise RequestError(UNAVAILABLE, "unavailable", "Kafka did not acknowledge in time", retry_after_s=0)
        return []


class Shop:
    """url: of the shop's page, with the key that it sends with. publisher: what arrived."""

    def __init__(self, url: str, publisher: ListedPublisher) -> None:
        self.url = url
        self.publisher = publisher

    @property
    def ids(self) -> list[str]:
        """Of what arrived, in its order, with what arrived twice."""
        return [event["event_id"] for event in list(self.publisher.events)]


class _Page(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/esm/"):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""


@contextmanager
def open_shop(directory: Path) -> Iterator[Shop]:
    """A shop whose pages are of one origin and whose collector is of another."""
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Page, directory=str(DIST)))
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    origin = f"http://127.0.0.1:{site.server_address[1]}"
    try:
        with _collecting(directory, origin) as (url, key, publisher):
            yield Shop(f"{origin}/#{json.dumps({'url': url, 'key': key})}", publisher)
    finally:
        site.shutdown()
        site.server_close()
        thread.join()


@contextmanager
def _collecting(directory: Path, origin: str) -> Iterator[tuple[str, str, ListedPublisher]]:
    port = free_port()
    settings = CollectorSettings("", directory / "keys.json", port=port, follow_hours=0, rate_per_s=0)
    _, key = Keys(settings.keys_path).create("shop", scope="feedback", origins=(origin,))
    publisher = ListedPublisher()
    app = build(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.collector = assemble(settings, cast("Publisher", publisher))
        yield

    app.router.lifespan_context = lifespan
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", ws="none", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not accepts(port):
            assert thread.is_alive(), "the collector ended"
        yield f"http://127.0.0.1:{port}", key, publisher
    finally:
        server.should_exit = True
        thread.join()
