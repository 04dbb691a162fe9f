"""By what somebody is known: a token, a session that a login began, or a header of a proxy that is believed."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from keeprate.deploy.page.access.gate import Recognise, anybody
from keeprate.deploy.page.access.people import People, hashed
from keeprate.deploy.page.access.settings import AccessSettings
from keeprate.deploy.page.access.viewer import Role, Viewer

PERSON: Final = "person"
GROUPS: Final = "groups"
TOKEN: Final = "token"
BEGAN: Final = "began"
"""What a session holds: a person whom the provider named with their groups, or the hash of a token; and since when."""
log = logging.getLogger("keeprate.access")


@dataclass(frozen=True)
class PageAccess:
    """Who is let in, with what that takes: routes of a login, and what keeps sessions. By default anybody."""

    recognise: Recognise = anybody
    routes: Sequence[BaseRoute] = ()
    sessions: Sequence[Middleware] = field(default_factory=tuple)


def utc_now() -> datetime:
    """The time by which entries expire."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Doors:
    """Tells who sends a request, by the doors that the settings open."""

    settings: AccessSettings
    people: People
    now: Callable[[], datetime] = utc_now

    def __call__(self, connection: HTTPConnection) -> Viewer | None:
        """Who it is; None where nobody is named. A token that is wrong is nobody, whatever else the request has."""
        if (sent := bearer(connection)) is not None:
            return self.of_token(hashed(sent)) if "tokens" in self.settings.doors else None
        return self._of_session(connection) or (self._of_proxy(connection) if "proxy" in self.settings.doors else None)

    def of_token(self, known: str) -> Viewer | None:
        """Whose the token with this hash is."""
        found = self.people.of_token(known, self.now())
        return None if found is None else self._viewer(*found)

    def of_person(self, who: str, groups: Collection[str]) -> Viewer:
        """The person whom a provider or a proxy named, who may have no role at all."""
        return self._viewer(who, self.people.roles_of(who, groups, self.now()))

    def _viewer(self, name: str, roles: dict[str, Role]) -> Viewer:
        return Viewer(name, roles, self.settings.texts_from)

    def _of_session(self, connection: HTTPConnection) -> Viewer | None:
        session = connection.scope.get("session") or {}
        # The cookie's own time begins anew with whatever else is written into it, such as a login that is tried again.
        if self.now().timestamp() - session.get(BEGAN, 0) >= self.settings.session_hours * 3600:
            return None
        if TOKEN in session and "tokens" in self.settings.doors:
            return self.of_token(session[TOKEN])
        if PERSON in session and "oidc" in self.settings.doors:
            return self.of_person(session[PERSON], session.get(GROUPS, ()))
        return None

    def _of_proxy(self, connection: HTTPConnection) -> Viewer | None:
        """Whom a proxy names. From elsewhere the header is only what somebody wrote."""
        named = connection.headers.getlist(self.settings.proxy_header)
        if not named or connection.client is None or not self.settings.peers.is_proxy(connection.client.host):
            return None
        header = self.settings.proxy_groups_header
        groups = connection.headers.getlist(header) if header else []
        if len(named) > 1 or len(groups) > 1:
            # A proxy that adds its header to the one that a client sent names two; which is whose, nobody can tell.
            twice = self.settings.proxy_header if len(named) > 1 else header
            log.warning("the proxy sent %s more than once: it must replace what clients send", twice)
            return None
        try:
            who, of_groups = _text(named[0]), _text(",".join(groups))
        except UnicodeDecodeError:
            log.warning("the proxy sent a name or groups that are not UTF-8: %r", (*named, *groups))
            return None
        return self.of_person(who, tuple(filter(None, map(str.strip, of_groups.split(",")))))


def _text(header: str) -> str:
    """What a header says: its bytes are UTF-8, and were read as Latin-1. Raises UnicodeDecodeError for others."""
    return header.encode("latin-1").decode()


def bearer(connection: HTTPConnection) -> str | None:
    """The token that a program sends; None where it sends none."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
