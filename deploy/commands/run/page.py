"""`keeprate page`: the page, on loopback by default."""

import ipaddress
import logging
from typing import Annotated

import typer

from keeprate.deploy import settings
from keeprate.deploy.commands import logs


def page(
    host: Annotated[str, typer.Option(help="Address to listen at. The page has no login: see below.")] = settings.HOST,
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65_535)] = settings.PAGE_PORT,
    store_url: Annotated[
        str | None, typer.Option(help="ClickHouse over HTTP; KEEPRATE_STORE_URL by default.", show_default=False)
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Another name under which browsers reach the page, for example behind a proxy. Repeatable."),
    ] = None,
) -> None:
    """Serve the page: what users keep of what the model wrote, live.

    It only reads, and it has no login: whoever reaches the port reads what users and models wrote. It therefore listens
    on loopback; elsewhere, put a proxy with a login before it and name that proxy's host with --allow-host.
    The same numbers are JSON under /api/: see docs/page.md.
    """
    # Loaded here, so that `keeprate --help` needs neither a web server nor a ClickHouse driver.
    import uvicorn

    from keeprate.deploy.page.app import LOOPBACK
    from keeprate.deploy.page.app import page as application
    from keeprate.deploy.page.source import Source

    logs.start("WARNING")
    url = settings.from_environment(store=store_url).reader_url
    if not _is_loopback(host):
        typer.secho(f"keeprate page: {host} is not loopback, and the page has no login", fg="yellow", err=True)
    hosts = [*LOOPBACK, *(allow_host or ()), *([] if _is_any(host) else [host])]
    _log_readings()
    typer.echo(f"the page is at http://{f'[{host}]' if ':' in host else host}:{port}", err=True)
    app = application(Source(url), hosts)
    # No websockets: nothing here speaks them, and a library for them need not be loaded.
    uvicorn.run(app, host=host, port=port, log_level="warning", log_config=None, server_header=False, ws="none")


def _log_readings() -> None:
    """Who read what users and models wrote, on standard error: a line with its time for each generation opened."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    readings = logging.getLogger("keeprate.content")
    readings.setLevel(logging.INFO)
    readings.handlers = [handler]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
