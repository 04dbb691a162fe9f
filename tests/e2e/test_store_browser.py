"""A page in a real browser gets nothing out of the local store and nothing into it, whatever way it asks."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from keeprate.deploy.store import StoreProcess
from keeprate.deploy.store.token import own_token
from keeprate.sinks.store.clickhouse import connect
from tests.devtools import Browser

pytestmark = pytest.mark.browser
SECRET: Final = "what-users-wrote"
READ: Final = "SELECT a FROM browsed.t"
HEAD: Final = "<!doctype html><title>elsewhere</title>"


class Elsewhere:
    """A site of somebody else on this machine: its page, and a redirect to wherever `target` says."""

    def __init__(self) -> None:
        self.target = ""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(302 if self.path == "/redirect" else 200)
                if self.path == "/redirect":
                    self.send_header("Location", site.target)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(HEAD.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def browser(require: Callable[[str], str]) -> Iterator[Browser]:
    with Browser(require("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    site = Elsewhere()
    yield site
    site.close()


@pytest.fixture(scope="module")
def table(store: StoreProcess) -> Iterator[StoreProcess]:
    """A store with a row worth reading, and tables worth dropping."""
    with connect(store.url, "default") as client:
        client.command("CREATE DATABASE browsed")
        client.command("CREATE TABLE browsed.t (a String) ENGINE = MergeTree ORDER BY a")
        client.command(f"INSERT INTO browsed.t VALUES ('{SECRET}')")
        yield store
        client.command("DROP DATABASE browsed SYNC")


def _statements(path: Path) -> dict[str, str]:
    return {
        "read": READ,
        "drop": "DROP TABLE browsed.t",
        "write": f"SELECT 1 INTO OUTFILE '{path / 'written'}'",
        "file": f"SELECT * FROM file('{path / 'secret'}', 'LineAsString')",
    }


# What a page can send without being asked first, with the login in the URL as if it had leaked: {url} is the store's
# address with a query, {login} the token's arguments, {sql} a statement.
WAYS: Final = {
    "form": (
        "(() => { const f = document.createElement('form'); f.method = 'POST'; f.action = '{url}&{login}'; "
        "f.enctype = 'text/plain'; document.body.append(f); f.submit(); })()"
    ),
    "multipart form": (
        "(() => { const f = document.createElement('form'); f.method = 'POST'; f.action = '{store}/?{login}'; "
        "f.enctype = 'multipart/form-data'; const i = document.createElement('input'); i.name = 'query'; "
        "i.value = decodeURIComponent('{sql}'); f.append(i); document.body.append(f); f.submit(); })()"
    ),
    "link": "location.href = '{url}&{login}'",
    "window": "window.open('{url}&{login}', '_self')",
    "redirect": "location.href = '/redirect'",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_page_cannot_go_to_the_store(
    browser: Browser, elsewhere: Elsewhere, table: StoreProcess, tmp_path: Path, way: str
) -> None:
    """A form, a link, a window and a redirect end at a refusal, even with a token in the address."""
    (tmp_path / "secret").write_text(SECRET)
    store = f"http://127.0.0.1:{table.port}"
    login = f"user=keeprate&password={own_token(table.path)}"
    for statement in _statements(tmp_path).values():
        url = f"{store}/?query={quote(statement, safe='')}"
        elsewhere.target = f"{url}&{login}"
        browser.open(elsewhere.url)
        script = WAYS[way].replace("{url}", url).replace("{login}", login).replace("{store}", store)
        sent = script.replace("{sql}", quote(statement, safe=""))
        # Later, so that the page that is asked is still there to answer.
        browser.evaluate(f"void setTimeout(() => {{ {sent} }}, 0)")
        browser.wait_for(f"location.href.startsWith('{store}') && document.readyState === 'complete'")
        said = browser.evaluate("document.documentElement.innerText")
        assert "does not answer to a browser" in said
        assert SECRET not in said
    assert not (tmp_path / "written").exists()
    with connect(table.url, "browsed") as client:
        assert client.query(READ) == [(SECRET,)]


@pytest.mark.parametrize("mode", ["no-cors", "cors"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_cannot_fetch_from_the_store(
    browser: Browser, elsewhere: Elsewhere, table: StoreProcess, tmp_path: Path, mode: str, method: str, host: str
) -> None:
    """Nothing is readable, and nothing was done: also where the page does not care for the answer."""
    (tmp_path / "secret").write_text(SECRET)
    login = f"user=keeprate&password={own_token(table.path)}"
    browser.open(elsewhere.url)
    for statement in _statements(tmp_path).values():
        url = f"http://{host}:{table.port}/?{login}&query={quote(statement, safe='')}"
        script = (
            f"fetch({url!r}, {{mode: '{mode}', method: '{method}'}})"
            ".then(answer => answer.text()).catch(error => 'failed: ' + error)"
        )
        said = browser.evaluate(script)
        assert said == "" or "failed" in said
    assert not (tmp_path / "written").exists()
    with connect(table.url, "browsed") as client:
        assert client.query(READ) == [(SECRET,)]


def test_an_address_typed_in_a_browser_is_no_way_in(browser: Browser, table: StoreProcess) -> None:
    """Whoever looks over a shoulder, at a history or at a bookmark finds no token that works."""
    url = f"http://127.0.0.1:{table.port}/?query={quote(READ)}&user=keeprate&password={own_token(table.path)}"
    browser.open(url)
    assert SECRET not in browser.evaluate("document.documentElement.innerText")
