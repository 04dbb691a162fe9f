"""The runbook as a document of the page: what an alert's `runbook_url` leads to."""

import re
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

PATH: Final = "/runbook"

_DOCUMENT: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Runbook · Keeprate</title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="page.css">
<link rel="stylesheet" href="runbook.css">
</head>
<body>
<main class="runbook">
<p><a href="./">Back to the numbers</a></p>
{body}</main>
</body>
</html>
"""


async def runbook(request: Request) -> Response:
    """The whole runbook; a section per alert."""
    return HTMLResponse(document(), headers={"cache-control": "no-cache"})


@cache
def document() -> str:
    """The runbook as HTML. It is read once: it is a part of what is installed."""
    return _DOCUMENT.format(body=rendered(files("keeprate.deploy.page").joinpath("runbook.md").read_text("utf-8")))


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
    return frozenset(re.findall(r'<h\d id="([^"]+)"', document()))


def anchor(heading: Token) -> str:
    """As GitHub makes them: lower case, with hyphens for spaces."""
    kept = (letter for letter in heading.content.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).replace(" ", "-")
