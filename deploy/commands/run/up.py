"""`keeprate up`: the whole of Keeprate on this machine, until Ctrl-C."""

import fcntl
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from keeprate.deploy import settings
from keeprate.deploy.local.alerting import alertmanager_parts, prometheus_part
from keeprate.deploy.local.broker import QUICK_COMPILER, Address, Choice, KafkaBroker, Memory, resolve, why_not_kafka
from keeprate.deploy.local.memory_broker import WARNING, MemoryBroker
from keeprate.deploy.local.process import ProcessError
from keeprate.deploy.local.stack import ATTEMPTS, PARTITIONS, Failures, Part, Ports, Stack, keeprate, taken, url
from keeprate.schemas.topics import ALL

console = Console(stderr=True, highlight=False)


def _port(whose: str, most: int = 65_535) -> Any:
    return typer.Option(help=f"Port of {whose}.", min=1, max=most)


def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="Simulate three apps: weeks of history first, then live.")
    ] = False,
    broker: Annotated[
        str, typer.Option(help="auto, kafka (real, needs Java 17), memory (to look around only) or HOST:PORT.")
    ] = "auto",
    data_dir: Annotated[Path | None, typer.Option(help="Where data is kept between runs.")] = None,
    broker_port: Annotated[int, _port("the broker")] = settings.BROKER_PORT,
    store_port: Annotated[int, _port("the store, ClickHouse's HTTP protocol")] = settings.STORE_PORT,
    page_port: Annotated[int, _port("the page")] = settings.PAGE_PORT,
    monitor_port: Annotated[
        int, _port("the monitor's /metrics; the next two are the worker's and the sink's", most=65_533)
    ] = settings.MONITOR_PORT,
    prometheus_port: Annotated[int, _port("Prometheus")] = settings.PROMETHEUS_PORT,
    alertmanager_port: Annotated[int, _port("the Alertmanager")] = settings.ALERTMANAGER_PORT,
    alerts_port: Annotated[int, _port("what receives delivered alerts, which are shown here")] = settings.ALERTS_PORT,
) -> None:
    """Start broker, store, worker, sink, monitor and page on this machine; Ctrl-C stops them, and data is kept.

    Prometheus starts with Keeprate's rules where it is installed, and the Alertmanager with it; what that delivers is
    shown here. A part that ends by itself starts again, and the
    others go on meanwhile; a broker or a store that ends again and again ends everything, with exit code 1.
    """
    ports = Ports(broker_port, store_port, page_port, monitor_port, prometheus_port, alertmanager_port, alerts_port)
    directory = data_dir or settings.from_environment().data_dir
    try:
        with _signals_as_interrupt(), ExitStack() as cleanup:
            _run(cleanup, demo, broker, directory.resolve(), ports)
    except KeyboardInterrupt:
        console.print(f"stopped; data is kept in {directory}", soft_wrap=True)
    except (ProcessError, ValueError) as error:
        console.print(f"[red]keeprate up:[/red] {error}", soft_wrap=True)
        raise typer.Exit(1) from None


@dataclass(frozen=True)
class Alerting:
    """The programs that watch and tell, None where they are not installed. Without rules there is nothing to tell."""

    prometheus: str | None
    alertmanager: str | None

    @classmethod
    def found(cls) -> "Alerting":
        """What this machine has; Debian calls the second by the project's name, others do not."""
        prometheus = shutil.which("prometheus")
        alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        return cls(prometheus, alertmanager if prometheus else None)


def _run(cleanup: ExitStack, demo: bool, wanted: str, directory: Path, ports: Ports) -> None:
    # Loaded here: they reach for Kafka and ClickHouse, which `--help` needs not.
    from keeprate.deploy.store.token import url_with_token
    from keeprate.deploy.topics import create_topics
    from keeprate.sinks.tables.migrate import migrate

    choice = resolve(wanted, why_not_kafka())
    alerting = Alerting.found()
    _refuse_taken_ports(ports, choice, alerting)
    cleanup.enter_context(owned(directory))
    env = {"KEEPRATE_DATA_DIR": str(directory), "KEEPRATE_STORE_URL": url(ports.store, "/keeprate")}
    stack = Stack(directory / "logs", env, lambda sentence: console.print(f"[yellow]{sentence}[/yellow]"))
    with _timed("broker, store, topics and tables"):
        stack.launch(_store(directory, ports))
        cleanup.callback(stack.stop)
        env["KEEPRATE_BROKERS"], broker = _start_broker(cleanup, choice, directory, ports)
        # Registered last, so done first: the parts need the broker until they have drained.
        cleanup.callback(_stop, stack)
        stack.wait_ready()
        # The parts find the token by their data directory; this process may have been told of it by an option.
        migrate(url_with_token(directory / "store", ports.store, "/keeprate"))
        if not isinstance(choice, Memory):
            create_topics(env["KEEPRATE_BROKERS"], by_default=PARTITIONS)
    with _timed("monitor, page, sink and worker"):
        stack.launch(*_parts(directory, ports, alerting, choice))
        stack.wait_ready()
    _show(choice, directory, ports, env, alerting)
    if demo:
        stack.launch(Part("demo", keeprate("demo"), foreground=True))
    broker_failures = Failures(started_at_s=time.monotonic())
    while True:
        time.sleep(1)
        if isinstance(broker, MemoryBroker) and broker.pid is None:
            raise ProcessError("the broker in memory ended, and its records with it", broker.log_tail())
        if isinstance(broker, KafkaBroker) and broker.pid is None:
            _revive(broker, broker_failures, stack.tell)
        stack.check(time.monotonic())


@contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Hold a data directory. Raises ValueError where another `keeprate up` does: two brokers over one log spoil it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remedy = "stop that one, or give this one a --data-dir of its own"
            raise ValueError(f"another `keeprate up` runs over {directory}: {remedy}") from None
        yield


def _revive(broker: KafkaBroker, failures: Failures, tell: Callable[[str], None]) -> None:
    """Start the broker again when its pause is over. Raises ProcessError when it ends again and again."""
    now_s = time.monotonic()
    if failures.due_at_s is None:
        pause_s = failures.ended(now_s)
        if failures.in_a_row > ATTEMPTS:
            reason = f"the broker ended by itself {failures.in_a_row} times in a row, and nothing goes on without it"
            raise ProcessError(reason, broker.log_tail())
        tell(
            f"the broker ended by itself; it starts again {f'in {pause_s:g} s' if pause_s else 'now'}, see {broker.log}"
        )
    if failures.due_at_s is not None and now_s >= failures.due_at_s:
        failures.started(now_s)
        # Where this fails, the next look finds it down again.
        with suppress(ProcessError):
            broker.start()


def _stop(stack: Stack) -> None:
    console.print("stopping: what emits first, then what drains, the store and the broker last")
    stack.stop()


def _refuse_taken_ports(ports: Ports, choice: Choice, alerting: Alerting) -> None:
    absent = {"broker"} if isinstance(choice, Address) else set()
    absent |= set() if alerting.prometheus else {"prometheus"}
    absent |= set() if alerting.alertmanager else {"alertmanager", "alerts"}
    if occupied := taken(ports, (field.name for field in fields(Ports) if field.name not in absent)):
        remedy = "is another `keeprate up` running? Otherwise choose others, for example --page-port 8771"
        raise ValueError(f"something already listens at the port of {', '.join(occupied)}: {remedy}")


def _start_broker(
    cleanup: ExitStack, choice: Choice, directory: Path, ports: Ports
) -> tuple[str, KafkaBroker | MemoryBroker | None]:
    """Where clients find the broker, and the one that runs here, if any."""
    broker: KafkaBroker | MemoryBroker
    match choice:
        case Address(bootstrap):
            return bootstrap, None
        case Memory(because):
            console.print(f"[bold red]{WARNING}[/bold red]")
            if because:
                console.print(f"[red]It runs because real Kafka cannot: {because}[/red]", soft_wrap=True)
            topics = {topic.name: PARTITIONS for topic in ALL}
            broker = cleanup.enter_context(MemoryBroker(directory / "logs" / "broker.log", topics))
        case _:
            broker = cleanup.enter_context(KafkaBroker(directory / "kafka", ports.broker, QUICK_COMPILER))
    return broker.bootstrap, broker


def _store(directory: Path, ports: Ports) -> Part:
    argv = keeprate("store", "--path", str(directory / "store"), "--port", str(ports.store))
    return Part("store", argv, url(ports.store, "/ping"), essential=True)


def _parts(directory: Path, ports: Ports, alerting: Alerting, choice: Choice) -> list[Part]:
    """What runs between the store and the demo, in the order of its start."""
    # A broker in memory has lost its offsets with every start, which a verification would rightly report.
    unverified = ["--verify-every", "0"] if isinstance(choice, Memory) else []
    # As often as Prometheus asks here.
    argv = keeprate("monitor", "--port", str(ports.monitor), "--every", "15", *unverified)
    parts = [
        Part("monitor", argv, url(ports.monitor, "/metrics")),
        Part("page", keeprate("page", *_of_page(ports, alerting)), url(ports.page, "/healthz")),
    ]
    if alerting.prometheus:
        parts.append(prometheus_part(alerting.prometheus, directory / "prometheus", ports))
    if alerting.alertmanager:
        parts += alertmanager_parts(alerting.alertmanager, directory / "prometheus", ports)
    return [
        *parts,
        Part("sink", keeprate("sink", "--metrics-port", str(ports.sink_metrics))),
        Part("worker", keeprate("worker", "--metrics-port", str(ports.worker_metrics))),
    ]


def _of_page(ports: Ports, alerting: Alerting) -> list[str]:
    told = ["--alertmanager", url(ports.alertmanager)] if alerting.alertmanager else []
    return ["--reviews", "--port", str(ports.page), *told]


def _show(choice: Choice, directory: Path, ports: Ports, env: dict[str, str], alerting: Alerting) -> None:
    kind = {Address: "yours", Memory: "in memory, to look around only"}.get(type(choice), "Apache Kafka")
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("page", f"[bold]{url(ports.page)}[/bold]")
    table.add_row("metrics", url(ports.monitor, "/metrics"))
    absent = "not installed, so not started"
    table.add_row("Prometheus", url(ports.prometheus, "/alerts") if alerting.prometheus else absent)
    table.add_row(
        "Alertmanager",
        f"{url(ports.alertmanager)}  (what it delivers is shown below)" if alerting.alertmanager else absent,
    )
    table.add_row(
        "SQL", f"{url(ports.store)}  (ClickHouse's HTTP protocol; `keeprate store --print-url` has the token)"
    )
    table.add_row("broker", f"{env['KEEPRATE_BROKERS']}  ({kind})")
    table.add_row("data, logs", f"{directory}, {directory / 'logs'}")
    console.print(table)
    console.print("[dim]Ctrl-C stops everything and keeps the data.[/dim]")


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began_s = time.monotonic()
    with console.status(f"starting {what}"):
        yield
    console.print(f"[green]ready[/green] {what} [dim]in {time.monotonic() - began_s:.1f} s[/dim]")


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the stack as a Ctrl-C does; while it is stopping, further ones change nothing."""

    def interrupt(number: int, frame: object) -> None:
        for which in (signal.SIGINT, signal.SIGTERM):
            signal.signal(which, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {which: signal.signal(which, interrupt) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
