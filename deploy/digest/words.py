"""Each finding of a digest as a sentence, and where on the page one sees it."""

from collections.abc import Iterable
from typing import Final

from keeprate.deploy.digest.gathering import Change, Digest
from keeprate.deploy.horizons import horizon_name
from keeprate.deploy.releases import words
from keeprate.deploy.why import links
from keeprate.sinks.closed import watched
from keeprate.sinks.closed.batches import RETENTION
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.closed.signals import JUDGE

_VERDICTS: Final = {"worse": "Worse", "better": "Better", "same": "The same"}
_MOVED: Final = {"fell": "fell", "rose": "rose"}


def heading(digest: Digest) -> str:
    """What there is to look at, in one line."""
    count = len(digest.to_look_at)
    if not count:
        return f"Keeprate, {digest.as_of:%d %b %Y}: nothing to look at"
    return f"Keeprate, {digest.as_of:%d %b %Y}: {count} thing{'s' if count > 1 else ''} to look at"


def basis(digest: Digest) -> str:
    """What the list of changes rests on."""
    return (
        f"{digest.series} series were asked as of {digest.as_of:%d %b %H:%M} UTC. On average at most "
        f"{digest.alpha:.0%} of the changes that are listed are chance."
    )


def change(found: Change) -> str:
    """`editor, inline v4, gpt-5: acceptance fell from 31.0 % to 25.2 % (of 812 in a day), since 15 Nov 12:53 UTC`.

    Where a cut explains it: `; 92 % of it in language typescript`.
    """
    app, prompt, version, model, kind = found.series
    where = ", ".join(filter(None, (app, " ".join(filter(None, (prompt, version))), model)))
    level = found.level
    before, now = _share(level.successes_before, level.trials_before), _share(level.successes, level.trials)
    size = f" from {before} to {now} (of {level.trials:,} in a day)" if before and now else ""
    why = f"; {found.why}" if found.why else ""
    return f"{where}: {_metric(kind)} {_MOVED[found.side]}{size}, since {words.moment(found.since)} UTC{why}"


def is_decided(found: KeptVerdict) -> bool:
    """Whether there is a verdict: chance is no explanation any more."""
    return found.verdict in _VERDICTS


def undecided(found: Iterable[KeptVerdict]) -> str:
    """`Not known yet: accepted, flagged`."""
    return f"Not known yet: {', '.join(map(words.metric_name, found))}"


def release(found: KeptVerdict) -> str:
    """Of one that is decided: `Worse: v4 keeps 30 pp less than v3 after 10 min (−35 to −25)`."""
    said = words.sentence(found) or f"{found.version} against {found.predecessor}, {words.metric_name(found)}"
    return f"{_VERDICTS[found.verdict]}: {said}"


def release_name(found: KeptVerdict) -> str:
    """`docs-assistant, answer: v4 after v3, since 15 Nov 12:53 UTC`."""
    where = ", ".join(filter(None, (found.app, found.family)))
    return f"{where}: {found.version} after {found.predecessor}, since {words.moment(found.released_at)} UTC"


def link(found: Change | KeptVerdict, page_url: str) -> str:
    """The page, showing what explains what was found."""
    path = links.of_series(found.series) if isinstance(found, Change) else links.of_release(found)
    return f"{page_url.rstrip('/')}/{path}"


def _metric(kind: str) -> str:
    if kind.startswith(RETENTION):
        return f"what is kept after {horizon_name(int(kind.removeprefix(RETENTION)))}"
    found = watched.named(kind)
    return f"{found.words} ({kind.removeprefix(JUDGE)})" if found.name == JUDGE else found.words


def _share(successes: int, trials: int) -> str:
    return f"{successes / trials:.1%}".replace("%", " %") if trials else ""
