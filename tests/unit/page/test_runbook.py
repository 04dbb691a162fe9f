"""The runbook that the page serves: where every alert's link leads."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from keeprate.deploy import monitor
from keeprate.deploy.local.process import free_port
from keeprate.deploy.page.app import page
from keeprate.deploy.page.runbook import rendered
from keeprate.deploy.page.source import Source
from keeprate.deploy.settings import HOST, PAGE_PORT, RUNBOOK_URL

RULES = yaml.safe_load((Path(monitor.configuration()) / "rules.yml").read_text("utf-8"))
LINKS = [rule["annotations"]["runbook_url"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]


class Elements(HTMLParser):
    """What a browser would find in a document."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """The page over a store that is not there: at night, it may be the store that is down."""
    source = Source(f"http://127.0.0.1:{free_port()}/keeprate")
    with TestClient(page(source), base_url=f"http://{HOST}:{PAGE_PORT}") as client:
        yield client


@pytest.mark.parametrize("link", LINKS)
def test_the_link_of_an_alert_leads_to_its_section(client: TestClient, link: str) -> None:
    """As it stands in rules.yml, asked of the page at its default address."""
    assert link.startswith(f"{RUNBOOK_URL}#")
    address, _, anchor = link.partition("#")
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert [tag for tag, attributes in Elements(answer.text).found if attributes.get("id") == anchor] == ["h2"]


def test_the_runbook_has_no_script_and_the_policy_of_the_page(client: TestClient) -> None:
    """Neither as an element nor as an attribute; what it loads is the page's own."""
    answer = client.get("/runbook")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    for tag, attributes in Elements(answer.text).found:
        assert tag != "script"
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        if tag == "link":
            assert client.get(f"/{attributes['href']}").status_code == 200


def test_the_runbook_is_the_document_of_the_docs(client: TestClient) -> None:
    """Every heading of docs/runbook.md, and its tables as tables."""
    text = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text("utf-8")
    html = client.get("/runbook").text
    assert re.findall(r"<h2 [^>]*>(.+)</h2>", html) == re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert "<table>" in html


def test_commands_and_queries_have_the_name_of_the_app_that_the_alert_is_of(client: TestClient) -> None:
    """And the header leads back to its numbers. What is no plain name stays out of commands."""
    html = client.get("/runbook?app=shop").text
    assert "keeprate report --app shop --by" in html
    assert 'href="./versions?app=shop"' in html
    assert "--app APP " in client.get("/runbook").text
    for odd in ("a b", "x'; DROP", "<b>"):
        assert "--app APP " in client.get("/runbook", params={"app": odd}).text


def test_commands_of_a_release_are_ready_to_be_pasted(client: TestClient) -> None:
    """With the prompt and both versions; what is not named, or no plain name, keeps its place."""
    of = {"app": "shop", "prompt": "inline", "old": "v3", "new": "v4"}
    html = client.get("/runbook", params=of).text
    assert "keeprate compare shop inline v3 v4" in html
    assert "prompt_version IN ('v3', 'v4')" in html
    assert "compare shop PROMPT v3 v4" in client.get("/runbook", params=of | {"prompt": "a b"}).text


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "[x](javascript:alert(1))", '<img src=x onerror="alert(1)">', "# <b onclick=x>"],
)
def test_what_could_run_stays_text(text: str) -> None:
    """HTML inside the Markdown, and addresses that are code."""
    for tag, attributes in Elements(rendered(text)).found:
        assert tag in ("p", "h1")
        assert set(attributes) <= {"id"}
