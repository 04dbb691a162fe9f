"""Where a suite and its runs are, for the commands that read them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy.commands.read.asking import refuse

if TYPE_CHECKING:
    from keeprate.deploy.cases.suite import Suite

SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE", help="A suite of keeprate cases export.", dir_okay=False)]
Runs = Annotated[Path | None, typer.Option(help="Where runs are kept; default: beside the suite, SUITE.runs.")]


def directory_of(suite: Path, runs: Path | None) -> Path:
    """Where the runs of a suite are."""
    return suite.with_suffix(".runs") if runs is None else runs


def read_suite(command: str, path: Path) -> "Suite":
    """The suite in a file; where there is none, the command ends and says what would do."""
    from keeprate.deploy.cases.suite import SuiteError, read_lines

    try:
        with path.open(encoding="utf-8") as lines:
            return read_lines(lines)
    except OSError as error:
        refuse(command, f"{path}: {error.strerror}; keeprate cases export -o {path} makes one", 2)
    except (SuiteError, UnicodeDecodeError) as error:
        refuse(command, f"{path}: {error}", 2)
