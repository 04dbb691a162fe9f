"""What an import could not take: told with file, row, field and value, kept in a file of rejects, and counted."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TextIO

import typer

from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.schemas.decode import ContractError

SHOWN: Final = 10


class Rejects:
    """The rejects of one import. file: takes each as a line of JSON; None keeps none.

    by_field: their number by field, or by kind of error where the whole row is at fault.
    """

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self.by_field: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """All of them."""
        return self.by_field.total()

    def add(self, place: str, error: "ContractError", **more: Any) -> None:
        """One row, and why it is no event. more: what else the file of rejects says of it."""
        self.by_field[error.field or error.error_type] += 1
        if self._file is not None:
            entry = {"place": place, "error_type": error.error_type, "field": error.field, "reason": error.reason}
            self._file.write(json.dumps(entry | more) + "\n")
        if self.count <= SHOWN:
            typer.echo(printable(f"{place}: {error}"), err=True)
        elif self.count == SHOWN + 1:
            typer.echo("more are rejected; --rejects FILE lists them all", err=True)

    def summary(self) -> str:
        """In words, the most frequent first."""
        fields = ", ".join(f"{number:,} {field}" for field, number in self.by_field.most_common(SHOWN))
        return f"{self.count:,} rejected" + (f" ({printable(fields)})" if fields else "")
