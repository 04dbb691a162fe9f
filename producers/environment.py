"""How a process is told by its environment: `KEEPRATE_<SECTION>_<FIELD>`, or `…_FILE`, which names a file that has it.

A secret belongs in a file: a variable is inherited by every child, and shown by whoever lists processes' environments.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from keeprate.producers.errors import SettingsError
from keeprate.producers.tokens import token_source
from keeprate.schemas.access.brokers import Brokers, KafkaAccess

PREFIX: Final = "KEEPRATE_"
LOCAL_BROKERS: Final = "127.0.0.1:9092"

Model = TypeVar("Model", bound=BaseModel)


def section(
    model: type[Model], name: str, values: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Model:
    """One section of the settings: what the environment says, over `values`. Raises SettingsError, naming the variable.

    name: as in `KEEPRATE_<NAME>_<FIELD>`.
    """
    env = os.environ if environ is None else environ
    found = dict(values or {})
    for field in model.model_fields:
        variable = variable_of(name, field)
        given, file = env.get(variable), env.get(f"{variable}_FILE")
        if given and file:
            raise SettingsError(variable, f"is set, and {variable}_FILE too: keep one of them")
        if file:
            given = _content(f"{variable}_FILE", Path(file))
        if given:
            found[field] = given
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise _explained(name, error) from None


def brokers(addresses: str | None = None, values: Mapping[str, Any] | None = None) -> Brokers:
    """The brokers that this process talks to, with the access that its environment says. Raises SettingsError.

    addresses: instead of `KEEPRATE_BROKERS`. values: of the access, where the environment does not say.
    """
    if isinstance(addresses, Brokers):
        return addresses
    access = section(KafkaAccess, "kafka", values)
    return Brokers(addresses or os.environ.get("KEEPRATE_BROKERS") or LOCAL_BROKERS, access, token_source(access))


def variable_of(name: str, field: str) -> str:
    """The variable of a field of a section."""
    return f"{PREFIX}{name}_{field}".upper()


def _content(variable: str, path: Path) -> str:
    try:
        return path.read_text().rstrip("\r\n")
    except OSError as error:
        raise SettingsError(variable, f"{path}: {error.strerror}; name a file that this user may read") from error


def _explained(name: str, error: ValidationError) -> SettingsError:
    """The first problem, without the value: it may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    where = variable_of(name, field) if field else f"{PREFIX}{name}_*".upper()
    return SettingsError(where, first["msg"].removeprefix("Value error, "))
