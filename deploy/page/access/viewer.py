"""Who looks at the page, and what they may do in which app. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

Role = Literal["viewer", "reviewer", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""From the least to the most: each may do what those before it may."""
EVERY: Final = "*"
"""In place of an app's name: every app, those to come as well."""


@dataclass(frozen=True)
class Sight:
    """What a request may read. apps: of which it may read anything, None for every app; texts: of which the texts."""

    apps: tuple[str, ...] | None = None
    texts: tuple[str, ...] | None = None

    def may(self, app: str) -> bool:
        """Whether numbers and lists of an app may be read."""
        return self.apps is None or app in self.apps

    def may_read(self, app: str) -> bool:
        """Whether what users and models of an app wrote may be read."""
        return self.texts is None or app in self.texts

    @property
    def reads_all(self) -> bool:
        """Whether what users and models wrote may be read in every app of which anything may."""
        return self.texts is None or (self.apps is not None and set(self.apps) <= set(self.texts))

    @property
    def only(self) -> dict[str, tuple[str, ...]]:
        """The apps as a filter of a question."""
        return {} if self.apps is None else {"app": self.apps}


@dataclass(frozen=True)
class Viewer:
    """One person or program that was let in.

    name: as logs have it; '' where nobody had to say who they are. roles: by app, `EVERY` for all.
    texts_from: the least role that reads what users and models wrote.
    """

    name: str
    roles: Mapping[str, Role]
    texts_from: Role = "viewer"

    @property
    def sight(self) -> Sight:
        """What they may read: the same object for all who may read the same."""
        return Sight(self._with("viewer"), self._with(self.texts_from))

    def _with(self, role: Role) -> tuple[str, ...] | None:
        return None if self.may(EVERY, role) else tuple(sorted(app for app in self.roles if self.may(app, role)))

    def may(self, app: str, role: Role = "viewer") -> bool:
        """Whether they may do in an app what takes this role. `EVERY` asks for all apps at once."""
        held = [self.roles[name] for name in {app, EVERY} if name in self.roles]
        return any(ROLES.index(each) >= ROLES.index(role) for each in held)


ANYBODY: Final = Viewer("", {EVERY: "admin"})
"""Whoever reaches the page where it asks nobody who they are."""
