"""`keeprate store`: the local ClickHouse."""

from pathlib import Path
from typing import Annotated

import typer

from keeprate.deploy import settings
from keeprate.deploy.commands.run.listening import check_free
from keeprate.deploy.store import MEMORY_BYTES, QUERY_S, DirectoryOwnedError, serve
from keeprate.sinks.store.local_store import READER_TOKEN_FILE, TOKEN_FILE, store_dir


def store(
    path: Annotated[
        Path | None, typer.Option(help="The directory, made where missing [default: KEEPRATE_DATA_DIR/store]")
    ] = None,
    port: Annotated[int, typer.Option(help="Of ClickHouse's HTTP protocol, on loopback.")] = settings.STORE_PORT,
    query_seconds: Annotated[
        int, typer.Option(help="Seconds that one query may take; a request may ask for less.", min=1)
    ] = QUERY_S,
    query_memory: Annotated[
        int, typer.Option(help="Bytes that one query may take; a request may ask for less.", min=1 << 20)
    ] = MEMORY_BYTES,
    print_url: Annotated[
        bool, typer.Option("--print-url", help="Print the store's address with its token, and end.")
    ] = False,
    reader: Annotated[
        bool, typer.Option("--reader", help="Print the address of who only reads, for tools that others use.")
    ] = False,
) -> None:
    """Serve the embedded ClickHouse engine on loopback, until Ctrl-C or SIGTERM.

    It speaks ClickHouse's own HTTP protocol, so any client reaches it that has the token, which lies in the store's
    directory, for this user alone; Keeprate's own commands take it from there:

    curl "$(keeprate store --print-url)" --data 'SELECT count() FROM outcomes'
    """
    from keeprate.deploy.store.token import url_with_token

    directory = path or store_dir()
    try:
        if print_url or reader:
            file = READER_TOKEN_FILE if reader else TOKEN_FILE
            typer.echo(url_with_token(directory, port, "/?database=keeprate", file))
        else:
            check_free("store", settings.HOST, port)
            serve(directory, port=port, query_s=query_seconds, memory_bytes=query_memory)
    except (DirectoryOwnedError, ValueError) as error:
        raise SystemExit(f"keeprate store: {error}") from None
