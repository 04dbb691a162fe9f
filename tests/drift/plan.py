"""What a run measures, in pieces that two processes can share, and what their results add up to."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from math import exp, log
from typing import Any, Final

from keeprate.streams.quality.detector import Policy
from tests.drift import measures, releases
from tests.drift.measures import POLICY, VOLUMES, Alarms, Delay, Place
from tests.drift.rivals import RIVALS, TOLD
from tests.drift.worlds import WORLDS

CHUNK: Final = 50
"""Replicates of one piece of work."""
IID_TIMES: Final = 4
"""So many times as many changes as in the other worlds: a ninth decile of a hundred is known to a tenth of itself."""
YOUNG_WORLDS: Final = ("iid", "seasonal", "cluster", "wandering", "mix", "all at once")
TUNED_DAYS: Final = (100, 300, 1000)
"""Budgets that are tried to find the one that has one false alarm in a thousand days."""
ADWIN_DELTAS: Final = {50: (0.02, 0.2), 200: (0.002, 0.02), 1000: (0.0002, 0.002)}
Key = tuple[str | float, ...]


@dataclass(frozen=True)
class Size:
    """How many replicates of each."""

    alarms: int
    delays: int
    adwin: int
    releases: int
    series: int


FULL: Final = Size(alarms=200, delays=100, adwin=40, releases=1000, series=500)
QUICK: Final = Size(alarms=25, delays=25, adwin=0, releases=50, series=20)


@dataclass(frozen=True)
class Piece:
    """One call, and the result that it is a part of."""

    key: Key
    measure: Callable[..., Any]
    arguments: tuple[Any, ...]


class Found(dict[Key, Any]):
    """Results by key. Parts of one result are added up."""

    def add(self, key: Key, part: Any) -> None:
        """A piece's result."""
        self[key] = self[key] + part if key in self else part


def places() -> Iterator[tuple[str, Place]]:
    """Every world at every volume, by the name that it is shown under."""
    for world in WORLDS:
        for per_hour in VOLUMES:
            yield world, Place(world, per_hour)
            if world == "mix":
                yield "mix, not split", Place(world, per_hour, split=False)


def first(size: Size, seed: int, found: Found) -> list[Piece]:
    """What can be measured at once, whatever was found."""
    del found
    pieces: list[Piece] = []
    for name, place in places():
        pieces += _chunks(("alarms", name, place.per_hour), measures.false_alarms, size.alarms, seed, place, POLICY)
        # What is promised of delays is promised of this world.
        changes = IID_TIMES * size.delays if name == "iid" else size.delays
        pieces += _chunks(("delays", name, place.per_hour), measures.delays, changes, seed, place, POLICY)
    for world in YOUNG_WORLDS:
        for per_hour in VOLUMES:
            place = Place(world, per_hour)
            pieces += _chunks(("young", world, per_hour), measures.young_false_alarms, size.alarms, seed, place)
    for per_hour in VOLUMES:
        for days in TUNED_DAYS[:-1]:
            pieces += _chunks(
                ("tuning", days, per_hour),
                measures.false_alarms,
                size.delays,
                seed,
                Place("iid", per_hour),
                Policy(days),
            )
        pieces += [
            Piece(("rival", name, per_hour), measures.rival, (name, per_hour, 2 * size.delays, seed))
            for name in RIVALS | TOLD
        ]
        for delta in ADWIN_DELTAS[per_hour] if size.adwin else ():
            pieces += _chunks(
                ("adwin", delta, per_hour), measures.adwin_alarms, size.adwin, seed, delta, per_hour, chunk=10
            )
    for world in releases.HARMLESS_WORLDS:
        pieces += _chunks(("harmless", world), releases.harmless, size.releases, seed, world)
        pieces += _chunks(("bad", world), releases.bad, size.releases // 5, seed, world)
    pieces.append(Piece(("replay",), measures.replays_alike, (seed,)))
    return pieces


def second(size: Size, seed: int, found: Found) -> list[Piece]:
    """What needs the thresholds that the first pieces found."""
    pieces: list[Piece] = []
    for per_hour in VOLUMES:
        tried: dict[float, Alarms] = {days: found["tuning", days, per_hour] for days in TUNED_DAYS[:-1]}
        tried[POLICY.days] = found["alarms", "iid", per_hour]
        found["tuned to", per_hour] = days = one_in_a_thousand_days(tried)
        pieces.append(Piece(("tuned", per_hour), measures.tuned, (per_hour, days, 2 * size.delays, seed)))
        if size.adwin:
            delta = one_in_a_thousand_days({each: found["adwin", each, per_hour] for each in ADWIN_DELTAS[per_hour]})
            found["adwin tuned to", per_hour] = delta
            # It is slow by the event, so where there are few of them it is shown as many changes as the others.
            shown = max(size.adwin, min(2 * size.delays, 10_000 // per_hour))
            for begin in range(0, shown, 10):
                rows = range(begin, min(begin + 10, shown))
                arguments = (delta, per_hour, 2 * size.delays, seed, rows)
                pieces.append(Piece(("adwin delays", per_hour), measures.adwin_delays, arguments))
    return pieces


def one_in_a_thousand_days(tried: dict[float, Alarms]) -> float:
    """The parameter at which there is one false alarm in a thousand days, on a line through the logarithms of two.

    The two that are nearest to one; half an alarm stands for none.
    """
    rates = {each: log(1000 * max(alarms.count, 0.5) / alarms.series_days) for each, alarms in tried.items()}
    (x0, y0), (x1, y1) = sorted(rates.items(), key=lambda item: abs(item[1]))[:2]
    if y0 == y1:
        return x0
    return exp(log(x0) - y0 * (log(x1) - log(x0)) / (y1 - y0))


def run(pieces: Sequence[Piece], jobs: int, found: Found) -> Iterator[tuple[int, int]]:
    """Work through the pieces, in so many processes. Tells how many of them are done.

    Raises what a piece raised."""
    with ProcessPoolExecutor(jobs) as pool:
        waiting = {pool.submit(each.measure, *each.arguments): each for each in pieces}
        for done, future in enumerate(as_completed(waiting), 1):
            found.add(waiting[future].key, future.result())
            yield done, len(pieces)


def delay(found: Found, *key: str | float) -> Delay:
    """The delay that the replicates of a key add up to."""
    return Delay.of(found[key])


def _chunks(
    key: Key, measure: Callable[..., Any], replicates: int, seed: int, *arguments: Any, chunk: int = CHUNK
) -> list[Piece]:
    """Pieces of a measure, each with a seed of its own, whatever else is measured and by however many processes."""
    pieces = []
    for begin in range(0, replicates, chunk):
        own = zlib.crc32(repr((seed, key, begin)).encode())
        pieces.append(Piece(key, measure, (*arguments, min(chunk, replicates - begin), own)))
    return pieces
