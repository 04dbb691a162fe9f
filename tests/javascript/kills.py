"""Kill real browsers while they send, and account for each event: `make js-fault KILLS=200`.

In each trial a page emits while the collector answers well or badly; what the page knows to be stored is noted, it goes
on for a moment, and then its process, or the browser's, is killed, or its tab closed; in some it is offline. The next
page emits nothing and delivers what is left. What was stored must have arrived, nothing is left,
and the accounts of the origin add up to what arrived.
"""

import argparse
import json
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
from tests.javascript.shop import Mood, Shop, open_shop

FAULTS: Final = {"tab killed": 10, "tab closed": 4, "browser killed": 2, "offline": 4}
"""How often each is made, of twenty. A storage that is full has tests of its own, in a fresh origin: Chromium remembers
for as long as a profile is open how much room it has."""


@dataclass
class Tally:
    """What came of the trials.

    lost: stored, and never arrived. unaccounted: arrived, and not in the accounts: what was sent from the memory of a
    page that was killed, before the storage had it.
    """

    kills: int = 0
    emitted: int = 0
    stored: int = 0
    arrived: int = 0
    duplicated: int = 0
    lost: int = 0
    unaccounted: int = 0
    by_fault: dict[str, int] = field(default_factory=dict)


@dataclass
class Campaign:
    """Trials one after the other over one profile, whose storage they share."""

    command: str
    profile: Path
    shop: Shop
    rng: random.Random
    tally: Tally = field(default_factory=Tally)
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.browser = Browser(self.command, self.profile)
        self._visit()

    def trial(self, fault: str) -> None:
        """Make one kill, and deliver what it left."""
        browser, shop = self.browser, self.shop
        shop.publisher.mood = self.rng.choice(get_args(Mood))
        browser.evaluate(f"void busy({self.rng.choice((1, 5, 20))})")
        browser.wait_for("stored.length")
        time.sleep(self.rng.uniform(0.03, 0.3))
        if fault == "offline":
            self._network(offline=True)
            time.sleep(self.rng.uniform(0.05, 0.3))
        noted: list[str] = browser.evaluate("stored")
        self.tally.emitted += browser.evaluate("emitted")
        time.sleep(self.rng.uniform(0, 0.15))
        self._kill(fault)
        shop.publisher.mood = "well"
        self.tally.kills += 1
        self.tally.by_fault[fault] = self.tally.by_fault.get(fault, 0) + 1
        self.tally.stored += len(noted)
        self._visit()
        stats = self._drained()
        assert stats["accepted"] == stats["delivered"] + stats["lost"], stats
        assert stats["lost"] == 0, stats
        self.tally.lost += len(set(noted) - set(shop.ids))

    def account(self) -> None:
        """Compare the origin's accounts with what arrived."""
        ids = self.shop.ids
        self.tally.arrived = len(set(ids))
        self.tally.duplicated = len(ids) - len(set(ids))
        self.tally.unaccounted = len(set(ids)) - self._drained()["delivered"]

    def _kill(self, fault: str) -> None:
        if fault == "tab closed":
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

    def _visit(self) -> None:
        self.browser.open(self.shop.url)
        self.browser.wait_for("window.client && client.stats().then(() => true)")

    def _drained(self) -> dict[str, Any]:
        self.browser.wait_for("client.flush(2000).then(left => left === 0)", 60)
        return dict(self.browser.evaluate("client.stats()"))


@contextmanager
def campaign(command: str, seed: int) -> Iterator[Campaign]:
    """A shop, a browser with a profile, and trials to make."""
    home = Path(tempfile.mkdtemp())
    try:
        with open_shop(home) as shop:
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
    with campaign(command, options.seed) as running:
        for number in range(options.kills):
            fault = faults[number % len(faults)]
            running.trial(fault)
            tally = running.tally
            sys.stdout.write(f"\r{tally.kills} kills, {tally.stored} stored, {tally.lost} lost ")
            sys.stdout.flush()
        running.account()
    sys.stdout.write("\n" + json.dumps(vars(tally), indent=1) + "\n")
    return int(bool(tally.lost or tally.unaccounted))


if __name__ == "__main__":
    raise SystemExit(main())
