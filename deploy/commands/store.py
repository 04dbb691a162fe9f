"""`keeprate store`: the local ClickHouse."""

from pathlib import Path
from typing import Annotated

import typer

from keeprate.deploy import settings


def store(
    path: Annotated[
        Path | None, typer.Option(help="The directory, made where missing [default: KEEPRATE_DATA_DIR/store]")
    ] = None,
    port: Annotated[int, typer.Option(help="Of ClickHouse's HTTP protocol, on loopback.")] = settings.STORE_PORT,
) -> None:
    """Serve the embedded ClickHouse engine on loopback, until Ctrl-C or SIGTERM.

    It speaks ClickHouse's own HTTP protocol, so any client reaches it:
    curl 'http://127.0.0.1:8123/?database=keeprate' --data 'SELECT count() FROM outcomes'
    """
    from keeprate.deploy.store import serve
    from keeprate.deploy.store.engine import DirectoryOwnedError

    try:
        serve(path or settings.from_environment().data_dir / "store", port=port)
    except DirectoryOwnedError as error:
        raise SystemExit(f"keeprate store: {error}") from None
