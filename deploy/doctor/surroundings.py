"""The environment: variables that look like settings and are none."""

from collections.abc import Iterator, Mapping

from keeprate.deploy.doctor.findings import Diagnosis, note, ok
from keeprate.deploy.settings import SECTIONS
from keeprate.producers.environment import PREFIX, variable_of


def check(environ: Mapping[str, str]) -> Iterator[Diagnosis]:
    """A word about each variable of a section that nobody reads. Pure."""
    fields = [variable_of(name, field) for name, model in SECTIONS.items() for field in model.model_fields]
    known = {*fields, *(f"{field}_FILE" for field in fields)}
    sections = tuple(f"{PREFIX}{name.upper()}_" for name in SECTIONS)
    strange = sorted(name for name in environ if name.startswith(sections) and name not in known | _COMMAND)
    for name in strange:
        yield note("settings", f"{name} is no setting", "docs/deploying.md lists them; correct or remove it")
    if not strange:
        yield ok("settings", "every variable is one that is read")


# `keeprate store` is a command and a section both; SDKs have a directory for their spool elsewhere.
_COMMAND = {f"{PREFIX}STORE_PORT", f"{PREFIX}STORE_PATH"}
