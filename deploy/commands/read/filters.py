"""The options that say which suggestions are meant, for all commands that list them."""

from typing import Annotated

import typer

Apps = Annotated[list[str] | None, typer.Option(help="Only this app. Repeatable.")]
Only = Annotated[
    list[str] | None, typer.Option(help="Only this value of a dimension, like prompt_version=v4. Repeatable.")
]
Since = Annotated[str, typer.Option(help="From when: 90min, 24h, 7d, 4w ago, or a date like 2026-03-01.")]
Until = Annotated[str, typer.Option(help="Until when, not included; the same forms. Default: now.")]
Fate = Annotated[
    str, typer.Option(help="accepted, rejected, ignored, undone, …; at --horizon: kept, changed, removed, …")
]
Horizon = Annotated[int, typer.Option(help="Seconds after the accept, for fates that a check tells.", min=1)]
Signals = Annotated[
    list[str] | None, typer.Option(help="flagged, upvoted, downvoted, corrected, judged, misjudged, … Repeatable.")
]
Text = Annotated[str, typer.Option(help="An id or its beginning, or a part of a name or label.")]
Worst = Annotated[bool, typer.Option("--worst", help="The worst first, rather than the newest.")]
Limit = Annotated[int, typer.Option(help="How many at most; 0 for all.", min=0)]
Store = Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")]
