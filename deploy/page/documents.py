"""The pages as documents: one frame for all, with the header, the filters and what a page has of its own.

To add one: a line in `DOCUMENTS`, its body in `bodies/NAME.html`, its module in `static/NAME.js`, which calls `run` of
`loop.js`, and the question that it asks under /api/.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

_IMPORT: Final = re.compile(r'^(?:import|export)\b[^;]*?from "\./([a-z_]+\.js)";', re.MULTILINE)

_BARE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Keeprate</title>
<link rel="icon" href="{up}icon.svg" type="image/svg+xml">
{styles}
</head>
<body>
{body}</body>
</html>
"""


@dataclass(frozen=True)
class Document:
    """A page. path: under which it is served; '' is the first screen.

    asks: its first question under /api/, which is on its way while the rest is loaded. uses: the controls that change
    its numbers, besides app, environment, period and filters.
    """

    name: str
    path: str
    title: str
    asks: str
    uses: tuple[str, ...] = ()


DOCUMENTS: Final = (
    Document("overview", "", "Overview", "screen", ("horizon", "by")),
    Document("versions", "versions", "Versions", "versions_screen", ("horizon",)),
    Document("why", "why", "Why", "explanation", ("horizon",)),
    Document("suggestions", "suggestions", "Suggestions", "explore", ("horizon",)),
    Document("review", "review", "Review", "review_screen", ("horizon",)),
    Document("cases", "cases", "Test cases", "stories", ("horizon",)),
    Document("operations", "operations", "Operations", "operations"),
)
"""In the order of the header."""


def routes() -> list[Route]:
    """One for each page."""
    return [Route(f"/{document.path}", partial(_served, document)) for document in DOCUMENTS]


def bare(title: str, body: str, styles: Sequence[str] = ("page.css",), up: str = "") -> str:
    """A document without scripts, and no page of the header. up: from its address to the first screen's."""
    named = "\n".join(f'<link rel="stylesheet" href="{up}{style}">' for style in styles)
    return _BARE.format(title=title, up=up, styles=named, body=body)


@cache
def html(document: Document) -> str:
    """A page's document. Its scripts are named, so that a browser fetches them side by side."""
    parts = _package() / "bodies"
    modules = sorted(modules_of(f"{document.name}.js") | modules_of("first.js"))
    return (
        (parts / "shell.html")
        .read_text("utf-8")
        .format(
            name=document.name,
            asks=document.asks,
            uses=" ".join(document.uses),
            title=escape(f"{document.title} · Keeprate"),
            heading=escape(document.title),
            entry=f"{document.name}.js",
            preloads="\n".join(f'<link rel="modulepreload" href="{name}">' for name in modules),
            links=links(current=document),
            body=(parts / f"{document.name}.html").read_text("utf-8"),
        )
    )


def modules_of(entry: str) -> frozenset[str]:
    """A module of static/ and all that it imports, and these import."""
    found: set[str] = set()
    to_read = [entry]
    while to_read:
        name = to_read.pop()
        if name not in found:
            found.add(name)
            to_read += _IMPORT.findall((_package() / "static" / name).read_text("utf-8"))
    return frozenset(found)


async def _served(document: Document, request: Request) -> Response:
    return HTMLResponse(html(document), headers={"cache-control": "no-cache"})


def links(query: str = "", current: Document | None = None) -> str:
    """The links of the header, of which one is to where somebody is. query: what goes along, as an address has it."""
    return "".join(_link(each, query, each == current) for each in DOCUMENTS)


def _link(document: Document, query: str, is_current: bool) -> str:
    current = ' aria-current="page"' if is_current else ""
    return f'<a href="./{document.path}{escape(query)}"{current}>{escape(document.title)}</a>'


def _package() -> Traversable:
    return files("keeprate.deploy.page")
