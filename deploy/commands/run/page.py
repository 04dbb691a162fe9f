"""`keeprate page`: the page, on loopback by default."""

import ipaddress
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from keeprate.deploy import settings
from keeprate.deploy.commands import logs
from keeprate.deploy.commands.run.listening import check_free

if TYPE_CHECKING:
    from keeprate.deploy.page.reviewing.desk import Desk

MOST_CONNECTIONS: Final = 2_000
MOST_OF_ADDRESS: Final = 500
"""Connections beyond these end the longest idle one, so that who only holds them open keeps nobody out."""
MOST_BYTES: Final = 2 << 20
"""Of a request with its head. What is sent here is a judgement, of a megabyte at most."""

ALERTS_WITHIN_S: Final = 2.0
"""The Alertmanager answers within this, or the page says that it does not: other parts of the screen wait for it."""


def page(
    host: Annotated[str, typer.Option(help="Address to listen at: see below.")] = settings.HOST,
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65_535)] = settings.PAGE_PORT,
    store_url: Annotated[
        str | None, typer.Option(help="ClickHouse over HTTP; KEEPRATE_STORE_URL by default.", show_default=False)
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Another name under which browsers reach the page, for example behind a proxy. Repeatable."),
    ] = None,
    trace_url: Annotated[
        str, typer.Option(help="Where traces are shown, such as https://traces.example/trace/{trace_id}.")
    ] = "",
    alertmanager: Annotated[
        str,
        typer.Option(
            envvar="KEEPRATE_ALERTMANAGER_URL", help="The Alertmanager whose firing alerts are shown. Default: none."
        ),
    ] = "",
    reviews: Annotated[
        bool, typer.Option(help="Let experts review: what they say goes to KEEPRATE_BROKERS, or by [send] of the file.")
    ] = False,
    review_config: Annotated[
        Path | None,
        typer.Option(help="Queues, labels, questions and judges, TOML: docs/review.md. Default: five queues."),
    ] = None,
    review_file: Annotated[
        Path | None,
        typer.Option(
            help="Who reviews what: SQLite, shared by the pages of this machine. Default: in the data directory."
        ),
    ] = None,
) -> None:
    """Serve the page: what users keep of what the model wrote, live.

    By default it asks nobody who they are: whoever reaches the port reads what users and models wrote. It therefore
    listens on loopback. Elsewhere, say by KEEPRATE_ACCESS_BY how people are known, and in a file who may see what:
    docs/access.md. The same numbers are JSON under /api/: docs/page.md. Without --reviews it only reads.
    """
    # Loaded here, so that `keeprate --help` needs neither a web server nor a ClickHouse driver.
    import uvicorn

    from keeprate.deploy.alerting.alertmanager import Alertmanager
    from keeprate.deploy.page.access.login import access
    from keeprate.deploy.page.app import LOOPBACK
    from keeprate.deploy.page.app import page as application
    from keeprate.deploy.page.exploring.addresses import checked_template
    from keeprate.deploy.page.source import Source
    from keeprate.producers.collector.gate.connections import Connections

    logs.start("WARNING")
    env = settings.from_environment(store=store_url)
    if not _is_loopback(host) and not env.access.doors:
        said = f"keeprate page: {host} is not loopback, and the page asks nobody who they are: see KEEPRATE_ACCESS_BY"
        typer.secho(said, fg="yellow", err=True)
    named = urlsplit(env.access.url or "").hostname
    hosts = [*LOOPBACK, *(allow_host or ()), *([] if _is_any(host) else [host]), *([named] if named else [])]
    _log_readings()
    traces = checked_template(trace_url) if trace_url else ""
    app = application(
        Source(env.reader_url),
        hosts,
        access=access(env.access, env.data_dir),
        trace_url=traces,
        desk=_desk(review_config, review_file) if reviews else None,
        alertmanager=Alertmanager(alertmanager, ALERTS_WITHIN_S) if alertmanager else None,
    )
    quiet: dict[str, Any] = {"log_level": "warning", "log_config": None, "server_header": False}
    check_free("page", host, port)
    typer.echo(f"the page is at http://{f'[{host}]' if ':' in host else host}:{port}", err=True)
    # No websockets: nothing here speaks them, and a library for them need not be loaded. And no address but that of
    # who is connected: by it a proxy is believed.
    bounded = Connections(MOST_CONNECTIONS, MOST_OF_ADDRESS, env.access.peers.is_proxy, max_message_bytes=MOST_BYTES)
    uvicorn.run(app, host=host, port=port, http=bounded.protocol(), ws="none", proxy_headers=False, **quiet)


def _desk(config: Path | None, file: Path | None) -> "Desk":
    """Where experts review. Raises SettingsError."""
    from keeprate.deploy.page.reviewing.desk import Desk
    from keeprate.deploy.review import settings as review
    from keeprate.deploy.review.book import Book
    from keeprate.deploy.review.sending import Outbox

    said, found = review.read(config), settings.from_environment()
    outbox = Outbox(found.brokers, said.send)
    outbox.check()
    return Desk(said, Book(file or found.data_dir / "review.sqlite"), outbox)


def _log_readings() -> None:
    """Who logged in and read what users and models wrote, on standard error: a line with its time for each."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    for name in ("keeprate.content", "keeprate.access"):
        readings = logging.getLogger(name)
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
