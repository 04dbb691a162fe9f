"""`keeprate demo`: three simulated apps, weeks of their history first, then live."""

import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.deploy.demo.play import Pace, Playback
    from keeprate.deploy.demo.simulate import Departure
    from keeprate.producers.sdk.client import Keeprate


def demo(
    days: Annotated[int, typer.Option(min=1, max=365, help="Days of history; of the first start.")] = 21,
    events: Annotated[int, typer.Option(min=100, help="Events of that history, about; of the first start.")] = 50_000,
    rate: Annotated[float, typer.Option(min=0.01, help="Live events a second, on average over a week.")] = 4.0,
    seed: Annotated[int, typer.Option(help="Another seed is another world; both may run side by side.")] = 1,
    speed: Annotated[
        float, typer.Option(min=0, help="Play the history so many times faster than it happened; 0: at once.")
    ] = 0.0,
    live: Annotated[bool, typer.Option("--live/--no-live", help="Go on live, or end with the history.")] = True,
    poison: Annotated[bool, typer.Option("--poison", help="Now and then send a record that is no event.")] = False,
    bad_release: Annotated[
        bool,
        typer.Option(
            "--bad-release",
            help="Beside a demo that runs: a version that is bad from its first suggestion on, as if released three "
            "hours ago; then end.",
        ),
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Send the history again from its first day.")] = False,
    brokers: Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_BROKERS.")] = "",
) -> None:
    """Simulate an editor, a support desk and a coding agent, whose users take, change, flag and keep what models write.

    In the editor, the newer prompt is accepted more often and kept less; in the support chat, answers from the FAQ
    alone go stale; the newer agent costs more and lasts longer. Feedback comes late, twice, out of order and without
    its generation, as in life.

    Starting again goes on where the last start ended: one seed gives one series of ids, so nothing is told twice.
    """
    from keeprate.deploy.demo import play
    from keeprate.deploy.emitting import EmitError, console

    address = from_environment(brokers).brokers
    now_ms = time.time_ns() // 1_000_000
    if bad_release:
        _release(seed, address, now_ms)
        return
    path = from_environment().data_dir / "demo" / f"{seed}.json"
    run = play.load(path)
    if run is None:
        run = play.begin(seed, days, events, rate, address, now_ms)
    else:
        # Before resuming, so that a broker that has seen nothing is told the past at its low rate.
        run = play.resume(
            play.told_from_the_start(run, address) if again or run.brokers != address else run, rate, now_ms
        )
    # `keeprate up` ends its parts with SIGTERM; what the client holds is still delivered.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _play(run, path, play.Pace(_Clock(), speed, now_ms), live, poison)
    except EmitError as error:
        console.print(f"keeprate demo: {error}", soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("the demo has stopped; start it again, and it goes on")


def _release(seed: int, brokers: str, now_ms: int) -> None:
    from keeprate.deploy.demo.play import bad_release
    from keeprate.deploy.demo.story import EDITOR
    from keeprate.deploy.emitting import STALLED_S, EmitError, console, emitting

    try:
        with emitting(EDITOR.name, brokers) as client:
            told = list(bad_release(seed, now_ms))
            for sent in told:
                client.emit(sent.event, block=True, timeout_s=STALLED_S)
    except EmitError as error:
        console.print(f"keeprate demo: {error}", soft_wrap=True)
        raise typer.Exit(1) from None
    console.print(
        f"{len(told):,} events of v5 are sent; keeprate releases shows its verdict, keeprate alerts list the alert"
    )


def _play(run: "Playback", path: Path, pace: "Pace", live: bool, poison: bool) -> None:
    from keeprate.deploy.demo import play
    from keeprate.deploy.demo.story import APPS
    from keeprate.deploy.emitting import bar, console, emitting

    def save(run: "Playback") -> None:
        play.store(run, path)

    with ExitStack() as opened:
        # A client for each app, as in life: the numbers of a producer's events are those of one app.
        clients = {app.name: opened.enter_context(emitting(app.name, run.brokers)) for app in APPS}
        # Kept before anything is sent: after a kill, the next start tells the same history, not another one.
        save(run)
        feed = _Feed(clients, run.brokers, poison)
        with bar() as progress:
            task = progress.add_task("history", total=play.expected_events(run, pace.begun_at), unit="events", note="")
            run = play.play(run, feed.send, pace, save, lambda _: progress.advance(task), until=pace.begun_at)
            feed.settle()
            progress.update(task, total=feed.number)
        save(run)
        console.print(f"{feed.number:,} events of history are sent{'; it goes on live' if live else ''}")
        if live:
            play.play(run, feed.send, pace, save, lambda _: None)


class _Feed:
    """Sends through the app's client, and bad records beside it, since a client takes none."""

    def __init__(self, clients: "Mapping[str, Keeprate]", brokers: str, poison: bool) -> None:
        from keeprate.producers.sending.kafka import open_producer

        self.number = 0
        self._clients = clients
        self._brokers = brokers
        self._bad = open_producer(brokers, "keeprate-demo-poison", {}, lambda name: None) if poison else None

    def send(self, sent: "Departure") -> None:
        """Return once the client has taken the event. Raises FullError when the brokers take nothing for long."""
        from keeprate.deploy.emitting import STALLED_S

        self._clients[sent.event["app"]].emit(sent.event, block=True, timeout_s=STALLED_S)
        self.number += 1
        if self._bad is not None:
            self._spoil(sent)

    def settle(self) -> None:
        """Return once everything sent was acknowledged. Raises EmitError."""
        from keeprate.deploy.emitting import STALLED_S, settle

        for client in self._clients.values():
            settle(client, self._brokers)
        if self._bad is not None:
            self._bad.flush(STALLED_S)

    def _spoil(self, sent: "Departure") -> None:
        from keeprate.deploy.demo.poison import spoil
        from keeprate.schemas.decode import encode
        from keeprate.schemas.topics import topic_of

        assert self._bad is not None
        if (value := spoil(self.number, encode(sent.event))) is not None:
            self._bad.produce(topic_of(sent.event["type"]).name, value, sent.event["generation_id"].encode())
            self._bad.poll(0)


class _Clock:
    """The real one."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
