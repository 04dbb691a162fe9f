"""`keeprate digest`: what changed, how releases do, and what to look at."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from keeprate.deploy.commands.read.asking import opened, refuse, write_html
from keeprate.deploy.commands.read.report import read_moment
from keeprate.deploy.settings import HOST, PAGE_PORT
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

    if sum((html is not None, bool(mail), bool(post), as_json)) > 1:
        refuse("digest", "--html, --mail, --post and --json: choose one", 2)
    now = datetime.now(UTC)
    with opened("digest", store) as client:
        found = gathering.gather(client, read_moment("--since", since, now), now, alpha)
    if as_json:
        typer.echo(json.dumps(asdict(found), default=lambda at: at.isoformat(), ensure_ascii=False, indent=2))
    elif html is not None:
        write_html("digest", html, rendering.as_html(found, page_url))
    elif mail:
        typer.echo(rendering.as_mail(found, page_url, mail))
    elif post:
        _post(post, json.dumps(rendering.as_chat(found, page_url)).encode())
    else:
        # Line by line: a terminal's own signs in a name are shown, not obeyed.
        for line in rendering.as_text(found, page_url).splitlines():
            typer.echo(printable(line))


def _post(url: str, body: bytes) -> None:
    from urllib.error import HTTPError, URLError
    from urllib.parse import urlsplit
    from urllib.request import Request, urlopen

    host = urlsplit(url).hostname
    if urlsplit(url).scheme not in ("http", "https") or not host:
        refuse("digest", "--post: write the webhook's address, like https://hooks.slack.com/services/…", 2)
    try:
        with urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=_POST_TIMEOUT_S):
            # The address is a secret: whoever has it may post.
            typer.echo(f"posted to {host}")
    except HTTPError as error:
        refuse(
            "digest", f"--post: {host} answered {error.code} {error.reason}; is the webhook's address still good?", 1
        )
    except (URLError, TimeoutError) as error:
        refuse("digest", f"--post: {host} does not answer: {getattr(error, 'reason', error)}", 1)
