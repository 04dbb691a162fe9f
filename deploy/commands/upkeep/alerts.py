"""`keeprate alerts`: what fires, whether an alert arrives, and the configuration that makes it so."""

import json
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy import settings
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.deploy.alerting.alertmanager import Firing
    from keeprate.deploy.alerting.listener import ToldAlert
    from keeprate.deploy.alerting.trial import Verdict

alerts = typer.Typer(name="alerts", no_args_is_help=True, help="What fires, and whether alerts arrive.")

Url = Annotated[str, typer.Option(help="its URL; default: KEEPRATE_ALERTMANAGER_URL, else this machine's port 9093")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON value, for machines")]
Pairs = Annotated[list[str] | None, typer.Option("--label", help="another label of the alert, name=value. Repeatable.")]
Targets = Annotated[
    list[str] | None, typer.Option("--target", help="where a job is scraped: keeprate-sink=10.0.0.3:9471. Repeatable.")
]


@alerts.command("list")
def list_alerts(alertmanager: Url = "", as_json: AsJson = False) -> None:
    """What fires now, the newest first, by which receivers it is told, and what is kept back."""
    from keeprate.deploy.alerting.alertmanager import Alertmanager, AlertmanagerError

    try:
        found = Alertmanager(_url(alertmanager)).alerts()
    except AlertmanagerError as error:
        raise SystemExit(f"keeprate alerts list: {error}") from None
    found.sort(key=lambda alert: alert.since, reverse=True)
    if as_json:
        typer.echo(json.dumps([asdict(alert) for alert in found], default=datetime.isoformat))
        return
    for alert in found:
        typer.echo(printable(_line(alert)))
    if not found:
        typer.echo("nothing fires, not even the Watchdog: does Prometheus reach this Alertmanager?")


@alerts.command("test")
def fire_test(
    alertmanager: Url = "",
    label: Pairs = None,
    listen: Annotated[
        int | None,
        typer.Option(help="receive webhooks at this port of this machine, and wait for it there", min=0, max=65_535),
    ] = None,
    wait: Annotated[
        float | None, typer.Option(help="seconds; default: the longest group_wait of its routes, and 15", min=1)
    ] = None,
    runbook: Annotated[str, typer.Option(help="where the alert leads")] = settings.RUNBOOK_URL,
    as_json: AsJson = False,
) -> None:
    """Fire one test alert through the Alertmanager, and say whether it arrived. Exits with 1 when it did not.

    It is routed as any other: a warning, or a page with --label severity=critical. By default it has arrived when each
    way of its receivers (slack, email, …) took a request meanwhile, by the Alertmanager's own counts; other alerts that
    are told at the same moment count, too. To see this very alert come, give a receiver a webhook to
    http://127.0.0.1:PORT/ and use --listen PORT. The alert ends with the command, and is told as resolved later.
    """
    from keeprate.deploy.alerting.alertmanager import Alertmanager, AlertmanagerError
    from keeprate.deploy.alerting.listener import Listener
    from keeprate.deploy.alerting.trial import fire

    try:
        with nullcontext() if listen is None else Listener(listen) as listener:
            labels = _pairs("--label", label or ())
            verdict = fire(Alertmanager(_url(alertmanager)), labels, runbook, wait, listener, _tell)
    except (AlertmanagerError, OSError, ValueError) as error:
        raise SystemExit(f"keeprate alerts test: {error}") from None
    typer.echo(json.dumps(asdict(verdict)) if as_json else printable(_text(verdict)))
    if not verdict.arrived:
        raise typer.Exit(1)


@alerts.command()
def receive(
    port: Annotated[
        int, typer.Option(help="of this machine, for a webhook to http://127.0.0.1:PORT/")
    ] = settings.ALERTS_PORT,
) -> None:
    """Receive webhooks of an Alertmanager and print each alert when it comes, until Ctrl-C. `keeprate up` runs it."""
    from keeprate.deploy.alerting.listener import Listener, Notification

    def show(message: Notification) -> None:
        for alert in message.alerts:
            if alert.labels.get("alertname") != "Watchdog":
                typer.echo(printable(_told(alert, message.receiver)))

    # What ends a part of `keeprate up`.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Listener(port, show):
            threading.Event().wait()
    except OSError as error:
        raise SystemExit(f"keeprate alerts receive: port {port} cannot be listened at ({error.strerror})") from None
    except KeyboardInterrupt:
        return


@alerts.command()
def config(
    directory: Annotated[Path, typer.Argument(help="where to; an alertmanager.yml that is there stays")],
    runbook: Annotated[
        str, typer.Option(help="where alerts lead: the page's /runbook as browsers reach it, or your copy of it")
    ] = settings.RUNBOOK_URL,
    page: Annotated[str, typer.Option(help="the page as browsers reach it")] = settings.PAGE_URL,
    webhook: Annotated[str, typer.Option(help="have every receiver post here; default: none reaches anybody")] = "",
    target: Targets = None,
) -> None:
    """Write prometheus.yml, rules.yml and alertmanager.yml into a directory, for your addresses.

    Then give the receivers in alertmanager.yml a way to reach somebody, and see it work: keeprate alerts test.
    """
    from keeprate.deploy.monitor.configure import Addresses, write_configuration

    # Prometheus runs as a user of its own, as a rule, and none of this is secret.
    os.umask(0o022)
    try:
        addresses = Addresses(runbook, page.rstrip("/"), webhook_url=webhook)
        write_configuration(directory, _pairs("--target", target or ()), addresses)
    except (OSError, ValueError) as error:
        raise SystemExit(f"keeprate alerts config: {error}") from None
    typer.echo(str(directory))


def _url(given: str) -> str:
    default = f"http://{settings.HOST}:{settings.ALERTMANAGER_PORT}"
    return given or os.environ.get("KEEPRATE_ALERTMANAGER_URL") or default


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """Raises ValueError for what is no name=value."""
    pairs = [pair.partition("=") for pair in given]
    if wrong := [name for name, equals, value in pairs if not (name and equals and value)]:
        raise ValueError(f"{option} {wrong[0]}: give name=value")
    return {name: value for name, _, value in pairs}


def _tell(receivers: Sequence[str], wait_s: float) -> None:
    typer.echo(f"fired; routed to {', '.join(receivers)}; waiting up to {wait_s:g} s", err=True)


def _told(alert: "ToldAlert", receiver: str) -> str:
    head = f"alert {alert.status}, to {receiver}: {alert.labels.get('alertname', '')}"
    said = alert.annotations.get("summary", "")
    links = [alert.annotations[name] for name in ("page_url", "runbook_url") if name in alert.annotations]
    return "\n  ".join([f"{head}: {said}", *(links if alert.status == "firing" else ())])


def _line(alert: "Firing") -> str:
    state = "silenced" if alert.silenced else "inhibited" if alert.inhibited else "to " + ", ".join(alert.receivers)
    severity, name = alert.labels.get("severity", ""), alert.labels.get("alertname", "")
    return f"{alert.since:%d %b %H:%M}  {severity:8}  {name}: {alert.annotations.get('summary', '')}  ({state})"


def _text(verdict: "Verdict") -> str:
    told = "".join(f"\n  {each.way}: {each.delivered} taken, {each.failed} failed" for each in verdict.told)
    return f"{'arrived' if verdict.arrived else 'not arrived'} after {verdict.after_s:.1f} s. {verdict.why}{told}"
