"""What commands that ask the store share: a client whose failures end the command with what would do, and a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.sinks.store.clickhouse import Client


@contextmanager
def opened(command: str, store: str) -> Iterator["Client"]:
    """A client; what goes wrong with the store or an option ends the command with what would do."""
    from keeprate.sinks.store.clickhouse import NOT_ALLOWED_CODES, SchemaMismatchError, StoreError, connect, shown

    url = from_environment(store=store).reader_url
    try:
        with connect(url) as client:
            yield client
    except SchemaMismatchError as error:
        if error.code in NOT_ALLOWED_CODES:
            refuse(command, f"{error}\nThe store does not let you in: see KEEPRATE_STORE_USER and docs/security.md", 1)
        refuse(command, f"{error}\nThe store's tables are not this version's: run keeprate migrate", 1)
    except StoreError as error:
        refuse(command, f"{error}\nIs the store up, and --store or KEEPRATE_STORE_URL right? It is {shown(url)}", 1)
    except ValueError as error:
        refuse(command, str(error), 2)


def write_html(command: str, path: Path, text: str) -> None:
    """Write the file of `--html`, in place of one that is there."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        refuse(command, f"--html {path}: {error.strerror}; name a file in a directory that you may write to", 1)
    typer.echo(f"written to {path}", err=True)


def refuse(command: str, sentence: str, code: int) -> NoReturn:
    """End the command with a sentence for people."""
    typer.echo(f"keeprate {command}: {sentence}", err=True)
    raise typer.Exit(code)
