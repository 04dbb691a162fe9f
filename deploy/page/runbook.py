"""The runbook as a document of the page: what an alert's `runbook_url` leads to."""

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from itertools import pairwise
from typing import Final
from urllib.parse import urlencode

from markdown_it import MarkdownIt
from markdown_it.token import Token
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from keeprate.deploy.page.access.gate import viewer
from keeprate.deploy.page.documents import bare, links

PATH: Final = "/runbook"
PARAMETERS: Final = ("app", "prompt", "old", "new")
"""What an address may name; in commands and queries of the runbook stand these, in capitals, for what is not named."""
_PLACES: Final = re.compile(rf"\b({'|'.join(PARAMETERS).upper()})\b")
_NAME: Final = re.compile(r"[\w.:/@+-]+")
"""A name that stands in a command or a query as it is, without quotes of its own."""

_BODY: Final = """<header class="top">
  <a class="brand" href="./{query}"><img src="icon.svg" alt="" width="26" height="26"><span>Keeprate</span></a>
  <nav class="pages" aria-label="Pages">{links}</nav>
</header>
<main class="runbook">
{body}</main>
"""


async def runbook(request: Request) -> Response:
    """The whole runbook; a section per alert, its commands with the names of an address, if they may see the app."""
    asked = {name: request.query_params.get(name, "") for name in PARAMETERS}
    text = document(asked if viewer(request).sight.may(asked["app"]) else {})
    return HTMLResponse(text, headers={"cache-control": "no-cache"})


def document(names: Mapping[str, str]) -> str:
    """The runbook as HTML, below the header of every page, with the names that there are; others keep their places."""
    app = names.get("app", "")
    query = f"?{urlencode({'app': app})}" if app else ""
    plain = {place.upper(): escape(name) for place, name in names.items() if _NAME.fullmatch(name)}
    named = _PLACES.sub(lambda place: plain.get(place[1], place[1]), _body())
    body = _BODY.format(body=named, query=query, links=links(query))
    return bare("Runbook", body, styles=("page.css", "runbook.css"))


@cache
def _body() -> str:
    """It is read once: it is a part of what is installed."""
    return rendered(files("keeprate.deploy.page").joinpath("runbook.md").read_text("utf-8"))


def rendered(text: str) -> str:
    """Markdown as HTML: tags in it stay text, links go nowhere that runs code, and a heading is found by its anchor."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", anchor(inline))
    return str(parser.renderer.render(tokens, parser.options, {}))


@cache
def anchors() -> frozenset[str]:
    """The sections of the runbook that an address can lead to."""
    return frozenset(re.findall(r'<h\d id="([^"]+)"', _body()))


def anchor(heading: Token) -> str:
    """As GitHub makes them: lower case, with hyphens for spaces."""
    kept = (letter for letter in heading.content.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).replace(" ", "-")
