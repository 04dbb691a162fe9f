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
from keeprate.producers.collector.gate.keys import Keys, Scope
from keeprate.producers.collector.publisher import Publisher
from keeprate.producers.collector.server import assemble, build
from keeprate.producers.collector.settings import CollectorSettings

DIST: Final = Path(__file__).parents[2] / "producers" / "js" / "dist"
HOST: Final = "127.0.0.1"
PAGE: Final = """<!doctype html><link rel="icon" href="data:,"><title>shop</title><textarea id="text"></textarea>
<script type="module">
import { Keeprate, indexedDbSpool } from "/esm/index.js";
const { url, key } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const spool = indexedDbSpool("shop");
const add = spool.add;
window.emitted = 0;
window.stored = [];
spool.add = async (bodies) => {
  const events = bodies.map((body) => JSON.parse(body));
  const marked = events.map((event) => JSON.stringify({ ...event, environment: "stored" }));
  const keys = await add(marked);
  // What is sent of it says so from here on; what a page that is left sends from memory does not.
  bodies.splice(0, bodies.length, ...marked);
  stored.push(...events.map(({ event_id }) => event_id));
  return keys;
};
window.block = (ms) => {
  const opening = indexedDB.open("shop");
  opening.onsuccess = () => {
    const book = opening.result.transaction(["events", "book"], "readwrite").objectStore("book");
    const until = Date.now() + ms;
    const again = () => void (Date.now() < until && (book.get(0).onsuccess = again));
    again();
  };
};
window.client = new Keeprate("shop", { url, key, spool, lingerMs: 5, retryMs: 20 });
window.handle = client.feedback("0197c0de-0000-7000-8000-000000000001", { user: "h4sh", session: location.hostname });
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

    def __init__(self, port: int, way: dict[str, str], publisher: ListedPublisher) -> None:
        self._port = port
        self._way = way
        self.url = self.page(HOST)
        self.publisher = publisher

    def page(self, host: str) -> str:
        """The page's address in another origin, with a storage of its own."""
        return f"{_origin(host, self._port)}/#{json.dumps(self._way)}"

    @property
    def ids(self) -> list[str]:
        """Of what arrived, in its order, with what arrived twice."""
        return self.ids_of(None)

    def ids_of(self, host: str | None, *, stored: bool = False) -> list[str]:
        """The same of one origin's pages. stored: of what was sent from their storage only."""
        events = [event for event in list(self.publisher.events) if host in (None, event.get("session"))]
        return [event["event_id"] for event in events if not stored or event.get("environment") == "stored"]


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


def _origin(host: str, port: int) -> str:
    return f"http://{host}:{port}"


@contextmanager
def open_shop(directory: Path, *hosts: str) -> Iterator[Shop]:
    """A shop whose pages are of one origin, and of one more for each host, and whose collector is of another."""
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Page, directory=str(DIST)))
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    port = int(site.server_address[1])
    try:
        origins = [_origin(host, port) for host in (HOST, *hosts)]
        with collecting(directory, "shop", "feedback", *origins) as (url, key, publisher):
            yield Shop(port, {"url": url, "key": key}, publisher)
    finally:
        site.shutdown()
        site.server_close()
        thread.join()


@contextmanager
def collecting(directory: Path, app: str, scope: Scope, *origins: str) -> Iterator[tuple[str, str, ListedPublisher]]:
    """A collector's address, a key of it for pages of these origins, and what arrives."""
    port = free_port()
    settings = CollectorSettings("", directory / "keys.json", port=port, follow_hours=0, rate_per_s=0)
    _, key = Keys(settings.keys_path).create(app, scope=scope, origins=origins)
    publisher = ListedPublisher()
    application = build(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.collector = assemble(settings, cast("Publisher", publisher))
        yield

    application.router.lifespan_context = lifespan
    server = uvicorn.Server(
        uvicorn.Config(application, port=port, log_level="error", ws="none", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not accepts(port):
            assert thread.is_alive(), "the collector ended"
        yield f"http://127.0.0.1:{port}", key, publisher
    finally:
        server.should_exit = True
        thread.join()
