"""The page without its store: what it serves, what it refuses, and what it says when there is no store."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from keeprate.deploy.local.process import free_port
from keeprate.deploy.page.api.questions import QUESTIONS
from keeprate.deploy.page.app import LOOPBACK, page
from keeprate.deploy.page.definitions import DEFINITIONS, METRICS, VARIANTS
from keeprate.deploy.page.documents import DOCUMENTS, html, modules_of
from keeprate.deploy.page.files import charts_name
from keeprate.deploy.page.parts import more
from keeprate.deploy.page.source import Source

STATIC = {entry.name: entry.read_text("utf-8") for entry in files("keeprate.deploy.page").joinpath("static").iterdir()}
DOCUMENT = Path(__file__).parents[3] / "docs" / "page.md"


@pytest.fixture
def client() -> Iterator[TestClient]:
    """The page over a store that is not there."""
    source = Source(f"http://127.0.0.1:{free_port()}/keeprate")
    with TestClient(page(source), base_url="http://127.0.0.1:8770", raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("name", ["", *STATIC])
def test_every_file_is_served_with_a_type_and_a_policy(client: TestClient, name: str) -> None:
    """A browser is never left to guess a type, and runs no script but the page's own."""
    answer = client.get(f"/{name}")
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"


def test_plotly_comes_out_of_the_installed_package(client: TestClient) -> None:
    """The charts need no network, and a browser asks for a version of them once: compressed where it can."""
    small = client.get(f"/{charts_name()}", headers={"accept-encoding": "gzip"})
    assert (small.status_code, small.headers["content-encoding"]) == (200, "gzip")
    assert int(small.headers["content-length"]) < 2_000_000
    assert "immutable" in small.headers["cache-control"]
    whole = client.get(f"/{charts_name()}", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in whole.headers
    assert whole.text == small.text
    assert whole.text.startswith("/**\n* plotly.js v")
    assert re.search(r"\d", charts_name())


def test_a_file_that_did_not_change_is_not_sent_again(client: TestClient) -> None:
    """A browser asks each time, so that an update shows at once, and is told that there is none."""
    answer = client.get("/loop.js", headers={"accept-encoding": "gzip"})
    assert (answer.headers["cache-control"], answer.headers["content-encoding"]) == ("no-cache", "gzip")
    again = client.get("/loop.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_document_names_every_module_that_it_runs(client: TestClient) -> None:
    """So that a browser fetches them side by side, and not one after the other as they name each other."""
    used = set()
    for document in DOCUMENTS:
        html = client.get(f"/{document.path}").text
        named = set(re.findall(r'<link rel="modulepreload" href="([^"]+)">', html))
        assert named == modules_of("first.js") | modules_of(f"{document.name}.js")
        assert f'<script src="{document.name}.js" type="module">' in html
        assert "plotly" not in html
        used |= named
    assert used | {"login.js"} == {name for name in STATIC if name.endswith(".js")}


def test_pages_lead_to_each_other_and_ask_what_there_is(client: TestClient) -> None:
    """Each has one title, is marked in the header where it is the current one, and asks a question of the API."""
    addresses = [f"./{document.path}" for document in DOCUMENTS]
    for document in DOCUMENTS:
        html = client.get(f"/{document.path}").text
        header, _, _ = html.partition("</nav>")
        assert re.findall(r'<a href="([^"]+)"(?: aria-current="page")?>', header) == addresses
        assert f'<a href="./{document.path}" aria-current="page">{document.title}</a>' in html
        assert document.asks in QUESTIONS


@pytest.mark.parametrize("name", STATIC)
def test_nothing_is_loaded_from_elsewhere_or_parsed_as_html(name: str) -> None:
    """No file names another host, except as the name of SVG, or turns a string into markup or code."""
    text = STATIC[name].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//[a-z]+\.[a-z]", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc", text)


def test_no_document_has_an_inline_script() -> None:
    """The policy would refuse it anyway."""
    for document in DOCUMENTS:
        text = html(document)
        assert all("src=" in tag for tag in re.findall(r"<script\b[^>]*>", text))
        assert not re.search(r"\son[a-z]+\s*=", text)
        assert "javascript:" not in text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "keeprate.local"])
def test_a_foreign_host_name_is_refused(client: TestClient, host: str) -> None:
    """A page elsewhere whose name is made to lead to loopback reads nothing."""
    answer = client.get("/api/feedback", headers={"host": host})
    assert answer.status_code == 400
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_elsewhere_asks_for_nothing(client: TestClient, site: str) -> None:
    """It could not read the answer, but a thousand of its questions would keep the store from others."""
    answer = client.get("/api/feedback", headers={"sec-fetch-site": site})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "refused")
    assert client.get("/", headers={"sec-fetch-site": site}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:8770", "localhost:8770", "[::1]:8770"])
def test_loopback_has_three_names(client: TestClient, host: str) -> None:
    """With any port, because a tunnel may change it."""
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/api/status", "/api/generations/a/b"])
def test_it_only_reads(client: TestClient, method: str, path: str) -> None:
    """There is nothing to change."""
    assert client.request(method, path, json={}).status_code == 405


@pytest.mark.parametrize("name", ["meta", *QUESTIONS, "generations/app/0196b1c8-0000-7000-8000-000000000000"])
def test_a_store_that_is_down_is_said_with_a_remedy(client: TestClient, name: str) -> None:
    """The answer has a code for machines, a sentence for people, and nothing of the driver's."""
    answer = client.get(f"/api/{name}")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    error = answer.json()["error"]
    assert error["code"] == "store_unavailable"
    assert "keeprate up" in error["message"]
    assert "Traceback" not in answer.text
    assert "urllib3" not in answer.text


def test_it_is_healthy_while_the_store_is_not(client: TestClient) -> None:
    """Restarting the page would not help."""
    assert client.get("/healthz").text == "ok\n"


def test_a_bad_parameter_is_named(client: TestClient) -> None:
    """Before the store is asked."""
    answer = client.get("/api/summary", params={"period": "1y"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"
    assert answer.json()["error"]["message"].startswith("period: '1y' is not offered")


@pytest.mark.parametrize("path", ["/api/nothing", "/../app.py", "/app.py", "/api/generations/app/not-an-id"])
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    """As JSON, and without reading anything."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


NO_TEXT = {
    "app=%FF%fe": "'app': '%FF%fe'",
    "app=editor&only=language%3D%C3%28&period=7d": "'only': 'language%3D%C3%28'",
    "%ff=1": "a parameter's name: '%ff'",
    "text=%ED%A0%80": "'text': '%ED%A0%80'",
    "text=" + "%FF" * 500: "'text': '%FF%FF",
}


@pytest.mark.parametrize(("query", "named"), NO_TEXT.items(), ids=range(len(NO_TEXT)))
@pytest.mark.parametrize("path", ["/api/summary", "/api/suggestions.csv", "/api/cases.jsonl", "/api/me", "/api/review"])
def test_bytes_that_are_no_text_are_refused(client: TestClient, path: str, query: str, named: str) -> None:
    """By the field, the value as it stands in the address, and the remedy; not answered for a name that nobody has."""
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "bad_request"
    assert error["message"].startswith(named)
    assert "is not UTF-8" in error["message"]
    assert len(error["message"]) < 250


@pytest.mark.parametrize(
    "path", ["/?app=%ff", "/suggestions?text=%ff", "/suggestions/%ff/x", "/versions%ff", "/%ff.js"]
)
def test_a_browser_is_told_on_a_page(client: TestClient, path: str) -> None:
    """With what would do, and the way to where there is something."""
    answer = client.get(path, headers={"accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "is not UTF-8" in answer.text
    assert "%FF" in answer.text.upper()
    up = "../" * (path.partition("?")[0].count("/") - 1) or "./"
    assert f'<a class="apply" href="{up}">' in answer.text


def test_a_page_that_there_is_not_is_told_on_a_page(client: TestClient) -> None:
    """What stands in the address is text there, never a tag."""
    answer = client.get("/suggestions/app/<script>", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text
    nowhere = client.get("/compare", headers={"accept": "text/html"})
    assert nowhere.status_code == 404
    assert "There is no page at this address." in nowhere.text
    assert "<script" not in answer.text


@pytest.mark.parametrize("query", ["text=caf%C3%A9", "text=%F0%9F%98%80", "text=%EF%BF%BD", "text=%00", "", "text=a+b"])
def test_text_of_any_alphabet_is_taken(client: TestClient, query: str) -> None:
    """The store is asked, which is not there."""
    assert client.get(f"/api/suggestions?{query}").status_code == 503


def test_every_term_has_a_definition() -> None:
    """What the page underlines it can explain."""
    scripts = "\n".join(text for name, text in STATIC.items() if name.endswith(".js"))
    literal = set(re.findall(r'\bterm\("([a-z_]+)"', scripts))
    titles = set(re.findall(r'\["[a-z-]+-title", "([a-z_]+)"\]', scripts))
    vitals = set(re.findall(r'\{ name: "([a-z_]+)", text', scripts))
    steps = {"opportunities", "shown", "accepted", "retained"}
    cards = set(more.SHOWN) | set(re.findall(r'"(cost_per_kept|latency_p\d+)"', STATIC["more.js"]))
    assert literal | titles | vitals | steps | cards | set(METRICS) == set(DEFINITIONS)


def test_the_document_names_every_path_and_variant() -> None:
    """docs/page.md keeps up with the code."""
    text = DOCUMENT.read_text("utf-8")
    for path in ("/healthz", "/api/meta", "/api/generations/", *(f"/api/{name}" for name in QUESTIONS)):
        assert f"`{path}" in text or f"`GET {path}" in text, path
    assert all(f"`{name}`" in text for name in (*VARIANTS, *METRICS))


def test_loopback_is_the_default() -> None:
    """Nobody is served by accident."""
    assert LOOPBACK == ("127.0.0.1", "localhost", "[::1]")
