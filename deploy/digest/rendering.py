"""A digest as text, as one HTML file, as a mail, and as a message for a chat. Pure."""

from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime
from itertools import groupby
from textwrap import wrap
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from keeprate.deploy.digest import words
from keeprate.deploy.digest.gathering import Change, Digest
from keeprate.deploy.terminal import printable
from keeprate.sinks.closed.release_verdicts import KeptVerdict

_STYLE: Final = """
:root { color-scheme: light dark; } body { margin: 0 auto; max-width: 76ch; padding: 24px;
  font: 15px/1.5 system-ui, sans-serif; } h1 { font-size: 20px; } h2 { font-size: 16px; margin: 24px 0 6px; }
ul { padding-left: 20px; } li { margin: 6px 0; overflow-wrap: anywhere; } a { color: LinkText; }
.soft { opacity: .7; font-size: 13px; }
"""
_WIDTH: Final = 80
_GOES_ON: Final = " " * 6
Section = tuple[str, list[tuple[str, str]]]
"""A title, and lines with their links, '' for none."""


def sections(digest: Digest, page_url: str) -> list[Section]:
    """The digest in the order in which it is read."""

    def linked(line: str, found: Change | KeptVerdict) -> tuple[str, str]:
        return _one_line(line), words.link(found, page_url)

    changes = [linked(words.change(each), each) for each in digest.changes]
    shown: list[Section] = [("Changed", changes or [("No series has changed.", "")])]
    for name, group in groupby(digest.releases, key=words.release_name):
        verdicts = list(group)
        lines = [linked(words.release(each), each) for each in verdicts if words.is_decided(each)]
        if open_ones := [each for each in verdicts if not words.is_decided(each)]:
            lines.append(linked(words.undecided(open_ones), open_ones[0]))
        shown.append((_one_line(name), lines))
    if not digest.releases:
        shown.append(("Releases", [(f"None since {digest.since:%d %b %H:%M} UTC.", "")]))
    return shown


def as_text(digest: Digest, page_url: str) -> str:
    """Lines for a terminal or the plain part of a mail; a link, which is whole however long, below what it shows."""
    return "\n".join(_text_lines(digest, page_url)) + "\n"


def as_html(digest: Digest, page_url: str) -> str:
    """One file that loads nothing. What apps named is text wherever it stands."""
    root = Element("html", lang="en")
    head, body = SubElement(root, "head"), SubElement(root, "body")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    SubElement(head, "title").text = words.heading(digest)
    SubElement(head, "style").text = _STYLE
    SubElement(body, "h1").text = words.heading(digest)
    for title, lines in sections(digest, page_url):
        SubElement(body, "h2").text = title
        items = SubElement(body, "ul")
        for line, link in lines:
            item = SubElement(items, "li")
            (SubElement(item, "a", href=link) if link else item).text = line
    SubElement(body, "p", {"class": "soft"}).text = words.basis(digest)
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def as_mail(digest: Digest, page_url: str, to: str) -> str:
    """A message for `sendmail -t`, with a plain and an HTML part."""
    message = EmailMessage()
    message["To"], message["Subject"] = to, words.heading(digest)
    message["Date"] = format_datetime(digest.as_of)
    message.set_content(as_text(digest, page_url))
    message.add_alternative(as_html(digest, page_url), subtype="html")
    return message.as_string()


def as_chat(digest: Digest, page_url: str) -> dict[str, str]:
    """What an incoming webhook of Slack, and of what is compatible with it, takes."""
    lines = [f"*{_escaped(words.heading(digest))}*"]
    for title, entries in sections(digest, page_url):
        lines.append(f"\n*{_escaped(title)}*")
        lines += [f"• <{_signs(link)}|{_escaped(line)}>" if link else f"• {_escaped(line)}" for line, link in entries]
    return {"text": "\n".join([*lines, "", f"_{_escaped(words.basis(digest))}_"])}


def _one_line(text: str) -> str:
    """The text as it may be shown anywhere: a version's name may hold an end of a line, and says no line of its own by
    it, or what turns the reading direction of all that follows."""
    return printable(" ".join(text.splitlines()))


def _text_lines(digest: Digest, page_url: str) -> Iterator[str]:
    yield words.heading(digest)
    for title, lines in sections(digest, page_url):
        yield ""
        yield from _wrapped(title)
        for line, link in lines:
            yield from _wrapped(line, "  ")
            if link:
                yield f"    {link}"
    yield ""
    yield from wrap(words.basis(digest), _WIDTH)


def _wrapped(line: str, indent: str = "") -> list[str]:
    """What goes on in another line is set in further than any that begins."""
    return wrap(line, _WIDTH, initial_indent=indent, subsequent_indent=_GOES_ON, break_on_hyphens=False)


def _escaped(text: str) -> str:
    """A text as Slack asks for it; a bar would end a link's address, and an address in a name would be a link."""
    return _signs(text).replace("|", "\N{BROKEN BAR}").replace("://", ": //")


def _signs(text: str) -> str:
    """The signs of Slack's markup by their names."""
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, name)
    return text
