"""The page: whom it lets in, by what, and which apps are open to whom."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from keeprate.deploy.doctor.findings import Diagnosis, fault, note, ok
from keeprate.deploy.page.access.people import FILE_NAME, Allowed, is_open_to_others, read
from keeprate.deploy.page.access.settings import AccessSettings
from keeprate.deploy.page.access.viewer import EVERY, ROLES
from keeprate.producers.errors import SettingsError

_SUBJECT = "page access"


def check(settings: AccessSettings, data_dir: Path) -> Iterator[Diagnosis]:
    """Look at the settings and the file of people. Asks nobody."""
    path = settings.file or data_dir / FILE_NAME
    if not settings.doors:
        remedy = "fine on loopback; elsewhere set KEEPRATE_ACCESS_BY: docs/access.md"
        yield note(_SUBJECT, "whoever reaches the page sees every app and reads all texts: it asks nobody", remedy)
        return
    try:
        entries = read(path)
    except SettingsError as error:
        yield fault(_SUBJECT, error.reason, "the page keeps to what it read before, and does not start anew")
        return
    if entries and is_open_to_others(path):
        yield fault(_SUBJECT, f"{path} can be changed by other users of this machine", f"chmod go-w {path}")
    yield from opened(settings, entries, datetime.now(UTC))


def opened(settings: AccessSettings, entries: Iterable[Allowed], now: datetime) -> Iterator[Diagnosis]:
    """What is to be said of who may see what. Pure."""
    held = [each for each in entries if each.holds(now)]
    by = " and ".join(settings.doors)
    if not held:
        yield fault(_SUBJECT, f"by {by}, and nobody has a role: nobody sees anything", "docs/access.md, The file")
        return
    yield ok(_SUBJECT, f"by {by}; texts are for a {settings.texts_from} and above")
    for app in sorted({app for each in held for app in each.apps}, key=lambda app: (app != EVERY, app)):
        yield ok(_SUBJECT, f"{'every app' if app == EVERY else app}: {_who(each for each in held if app in each.apps)}")
    if settings.url and not settings.is_https:
        remedy = "put TLS before the page and set KEEPRATE_ACCESS_URL=https://…"
        yield note(_SUBJECT, f"{settings.url} is not https: sessions and tokens can be read on the way", remedy)


def _who(entries: Iterable[Allowed]) -> str:
    """`1 admin, 2 reviewers (a group)`."""
    counts = Counter((each.role, "token" if each.token else "group" if each.group else "person") for each in entries)
    parts = [
        f"{number} {role}{'s' if number > 1 else ''}" + ("" if kind == "person" else f" by {kind}")
        for role in reversed(ROLES)
        for kind in ("person", "group", "token")
        if (number := counts[(role, kind)])
    ]
    return ", ".join(parts)
