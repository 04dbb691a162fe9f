"""How well judges, users and experts agree in the selection: what `keeprate agreement` prints."""

from dataclasses import replace
from functools import partial
from typing import Final

from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.deploy.review import agreeing, reading

KEPT_S: Final = 60.0


def agreement(reads: Reads, selection: Selection) -> Json:
    """Comparisons, each judge over time, and alphas. Reviewers are named by the pseudonyms that events have."""
    if selection.of_nobody:
        return {"horizon_s": selection.horizon_s} | agreeing.as_json(agreeing.Agreements())
    scope = replace(selection.scope("now", reads.now), by=())
    key = (selection.core("now"), selection.horizon_s)
    ask = partial(reading.agreement, reads.client, scope, selection.horizon_s, reads.scales)
    found = reads.fact("agreement", key, lambda: ask(reads.summed(scope)), KEPT_S)
    return {"horizon_s": selection.horizon_s} | agreeing.as_json(found)
