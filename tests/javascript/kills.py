"""Kill real browsers while they send, and account for each event: `make js-fault KILLS=200`.

In each trial a page emits while the collector answers well or badly; what the page knows to be stored is noted, it goes
on for a moment, and then its process, or the browser's, is killed, or its tab closed; in some it is offline, and in
some its storage is full by then. The next page emits nothing and delivers what is left. What was stored must have
arrived, nothing is left, and the accounts of the origin add up to what arrived.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_args

from tests.devtools import Browser
from tests.fault.cell import Outcome
from tests.fault.filing import IN_BROWSERS, file
from tests.javascript.shop import HOST, Mood, Shop, open_shop

FULL: Final = "storage full"
CLOSED: Final = "tab closed"
FAULTS: Final = {"tab killed": 9, CLOSED: 4, "browser killed": 2, "offline": 3, FULL: 2}
"""How often each is made, of twenty."""
_FULL_BYTES: Final = 400_000
_MAX_FULL: Final = 400
_NAMES: Final = [IN_BROWSERS + fault for fault in FAULTS]


@dataclass
class Campaign:
    """Trials one after the other over one profile, whose storage they share."""

    command: str
    profile: Path
    shop: Shop
    rng: random.Random
    browser: Browser = field(init=False)
    full: int = 0
    unaccounted: int = 0

    def __post_init__(self) -> None:
        self.browser = Browser(self.command, self.profile)
        self._visit(self.shop.url)

    def trial(self, fault: str) -> Outcome:
        """Make one kill, and deliver what it left.

        lost: events that were stored and did not arrive. unaccounted: those that arrived from storage and are not in
        the accounts, or the other way about. What a page that is left sends from memory, and storage has not come to,
        no page can account for: it arrives. What arrives twice counts once by its id, and is nothing doubled.
        """
        host = self._begin(fault)
        self._emit(fault)
        noted: list[str] = self.browser.evaluate("stored")
        emitted = int(self.browser.evaluate("emitted"))
        time.sleep(self.rng.uniform(0, 0.15))
        self._kill(fault)
        self.shop.publisher.mood = "well"
        self._visit(self.shop.page(host))
        stats = self._drained()
        delivered = stats["delivered"]
        arrived = set(self.shop.ids_of(host))
        if fault == FULL:
            # What had no room went from memory, and so did accounts for which there was none: they went with the page.
            unaccounted = max(0, delivered - len(arrived)) + max(0, delivered - stats["accepted"])
            self._visit(self.shop.url)
        else:
            # Of this origin since the first trial.
            from_storage = len(set(self.shop.ids_of(host, stored=True)))
            before, self.unaccounted = self.unaccounted, abs(from_storage - delivered) + stats["accepted"] - delivered
            unaccounted = max(0, self.unaccounted - before)
        return Outcome(IN_BROWSERS + fault, 1, emitted, 1, len(set(noted) - arrived), 0, unaccounted)

    def _begin(self, fault: str) -> str:
        """The host of the page that is to be killed, which is open."""
        moods = get_args(Mood)
        if fault != FULL:
            self.shop.publisher.mood = self.rng.choice(moods)
            return HOST
        # Chromium remembers for as long as a profile is open how much room an origin has: so another one each time.
        self.full += 1
        host = _full_host(self.full)
        self.shop.publisher.mood = self.rng.choice([mood for mood in moods if mood not in ("well", "slow")])
        self.browser.open("about:blank")
        origin = self.shop.page(host).partition("/#")[0]
        self.browser.call("Storage.overrideQuotaForOrigin", origin=origin, quotaSize=_FULL_BYTES)
        self._visit(self.shop.page(host))
        return host

    def _emit(self, fault: str) -> None:
        browser, rng = self.browser, self.rng
        browser.evaluate(f"void busy({1 if fault == FULL else rng.choice((1, 5, 20))})")
        browser.wait_for("stored.length")
        if fault == FULL:
            browser.wait_for("client.stats().then(({ last_error }) => last_error.includes('Quota'))")
        time.sleep(rng.uniform(0.03, 0.3))
        if fault == CLOSED:
            # Half of them while storage is busy, so that it has not come to all.
            browser.evaluate(f"block({rng.choice((0, 400))})")
            time.sleep(rng.uniform(0.05, 0.3))
        if fault == "offline":
            self._network(offline=True)
            time.sleep(rng.uniform(0.05, 0.3))

    def _kill(self, fault: str) -> None:
        if fault == CLOSED:
            self.browser.close_tab()
        elif fault == "browser killed":
            self.browser.kill()
            self.browser = Browser(self.command, self.profile)
        else:
            self.browser.crash_tab()

    def _network(self, *, offline: bool) -> None:
        self.browser.call("Network.enable")
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.browser.call("Network.emulateNetworkConditions", offline=offline, **speed)

    def _visit(self, url: str) -> None:
        self.browser.open("about:blank")
        self.browser.open(url)
        self.browser.wait_for("window.client && client.stats().then(() => true)")

    def _drained(self) -> dict[str, Any]:
        self.browser.wait_for("client.flush(2000).then(left => left === 0)", 60)
        stats = dict(self.browser.evaluate("client.stats()"))
        assert stats["lost"] == 0, stats
        return stats


def _full_host(number: int) -> str:
    """Browsers find it on this machine, and take it for secure."""
    return f"full-{number}.localhost"


@contextmanager
def campaign(command: str, seed: int) -> Iterator[Campaign]:
    """A shop, a browser with a profile, and trials to make."""
    home = Path(tempfile.mkdtemp())
    try:
        with open_shop(home, *map(_full_host, range(1, _MAX_FULL + 1))) as shop:
            running = Campaign(command, home / "profile", shop, random.Random(seed))
            try:
                yield running
            finally:
                running.browser.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> int:
    """Make the kills that were asked for; the exit code says whether nothing was lost or is unaccounted for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", default="", help="one of: " + ", ".join(FAULTS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    command = shutil.which("chromium")
    if command is None:
        sys.exit("chromium is not installed: make system-packages")
    faults = [options.only] if options.only else [name for name, many in FAULTS.items() for _ in range(many)]
    outcomes: dict[str, Outcome] = {}
    with campaign(command, options.seed) as running:
        for number in range(options.kills):
            outcome = running.trial(faults[number % len(faults)])
            outcomes[outcome.fault] = outcomes.get(outcome.fault, Outcome(outcome.fault)) + outcome
            total = sum(outcomes.values(), Outcome("all"))
            said = f"{total.kills} kills, {total.events} events, {total.lost} lost, {total.unaccounted} unaccounted"
            sys.stdout.write(f"\r{said} ")
            sys.stdout.flush()
            file(outcomes, _NAMES)
    sys.stdout.write("\n" + "".join(f"{outcome}\n" for outcome in (*outcomes.values(), total)))
    return int(not total.clean)


if __name__ == "__main__":
    raise SystemExit(main())
