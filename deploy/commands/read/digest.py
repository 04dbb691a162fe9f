"""`keeprate digest`: what changed, how releases do, and what to look at."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from keeprate.deploy.commands.read.report import read_moment
from keeprate.deploy.settings import HOST, PAGE_PORT, from_environment
from keeprate.deploy.terminal import printable

_POST_TIMEOUT_S = 20


def digest(
    since: Annotated[str, typer.Option(help="Releases since: 24h, 7d, 4w ago, or a date like 2026-03-01.")] = "7d",
    alpha: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="The share of listed changes that may be chance.")
    ] = 0.1,
    html: Annotated[Path | None, typer.Option("--html", help="Write one HTML file. Replaces it.")] = None,
    mail: Annotated[str, typer.Option(help="Print a mail to this address, for sendmail -t.")] = "",
    post: Annotated[str, typer.Option(help="Post it to this webhook, in Slack's form.")] = "",
    page_url: Annotated[str, typer.Option(help="Where the page is, for the links.")] = f"http://{HOST}:{PAGE_PORT}",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
) -> None:
    """Tell what changed, how releases do, and what to look at.

    Of all series that the monitor watches, those are listed that have changed; however many there are, no more than
    --alpha of what is listed is chance, on average. Alerts say at once what a digest says once a day: run it from cron.

    keeprate digest

    keeprate digest --mail team@example.com | sendmail -t

    keeprate digest --post https://hooks.slack.com/services/T0/B0/x --page-url https://keeprate.example.com
    """
    from keeprate.deploy.digest import gathering, rendering
    from keeprate.sinks.store.clickhouse import SchemaMismatchError, StoreError, connect, shown

    if sum((html is not None, bool(mail), bool(post), as_json)) > 1:
        _refuse("--html, --mail, --post and --json: choose one", 2)
    url, now = store or from_environment().store_url, datetime.now(UTC)
    try:
        with connect(url) as client:
            found = gathering.gather(client, read_moment("--since", since, now), now, alpha)
    except SchemaMismatchError as error:
        _refuse(f"{error}\nThe store's tables are not this version's: run keeprate migrate", 1)
    except StoreError as error:
        _refuse(f"{error}\nIs the store up, and --store or KEEPRATE_STORE_URL right? It is {shown(url)}", 1)
    except ValueError as error:
        _refuse(str(error), 2)
    if as_json:
        typer.echo(json.dumps(asdict(found), default=lambda at: at.isoformat(), ensure_ascii=False, indent=2))
    elif html is not None:
        _write(html, rendering.as_html(found, page_url))
    elif mail:
        typer.echo(rendering.as_mail(found, page_url, mail))
    elif post:
        _post(post, json.dumps(rendering.as_chat(found, page_url)).encode())
    else:
        # Line by line: a terminal's own signs in a name are shown, not obeyed.
        for line in rendering.as_text(found, page_url).splitlines():
            typer.echo(printable(line))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        _refuse(f"--html {path}: {error.strerror}; name a file in a directory that you may write to", 1)
    typer.echo(f"wrote {path}")


def _post(url: str, body: bytes) -> None:
    from urllib.error import HTTPError, URLError
    from urllib.parse import urlsplit
    from urllib.request import Request, urlopen

    host = urlsplit(url).hostname
    if urlsplit(url).scheme not in ("http", "https") or not host:
        _refuse("--post: write the webhook's address, like https://hooks.slack.com/services/…", 2)
    try:
        with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=_POST_TIMEOUT_S):
            # The address is a secret: whoever has it may post.
            typer.echo(f"posted to {host}")
    except HTTPError as error:
        _refuse(f"--post: {host} answered {error.code} {error.reason}; is the webhook's address still good?", 1)
    except (URLError, TimeoutError) as error:
        _refuse(f"--post: {host} does not answer: {getattr(error, 'reason', error)}", 1)


def _refuse(sentence: str, code: int) -> NoReturn:
    typer.echo(f"keeprate digest: {sentence}", err=True)
    raise typer.Exit(code)
