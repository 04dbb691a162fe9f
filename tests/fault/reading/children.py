"""The processes that sum hours, and that build all suggestions anew, as children of a nest."""

import os
import signal
from typing import Any

from keeprate.sinks.reading import hours, rebuild
from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.store.servers import Servers
from tests.fault.reading.harm import SABOTAGE, signal_at


def main(options: dict[str, Any]) -> None:
    """Do what the options say, until it is done or the process is killed."""
    for name in options.get("sabotage", ()):
        SABOTAGE[name]()
    with connect(options["store_url"]) as client:
        if options["do"] == "sum":
            if options.get("killed_at"):
                signal_at(hours, options["killed_at"], "SIGKILL")
            hours.sum_quiet(client, quiet_s=0)
        else:
            _rebuild(client, options.get("at", 0), options.get("signal", "SIGKILL"))


def _rebuild(client: Any, at: int, name: str) -> None:
    """The process sends itself a signal after a page; 0 for none."""
    pages = 0

    def on_page(rows: int) -> None:
        nonlocal pages
        pages += 1
        if pages == at:
            os.kill(os.getpid(), signal.Signals[name])

    rebuild.ROWS_AT_ONCE = 60  # type: ignore[misc]
    rebuild.rebuild(Servers([client]), on_page)
