"""The retention curve in a terminal, drawn by plotext: its one import, because it draws on a figure of the module."""

import re
from collections.abc import Mapping
from itertools import cycle
from typing import Final

import plotext
from rich.text import Text

from keeprate.deploy.horizons import horizon_name

_HEIGHT: Final = 16
_AXIS: Final = 7
_LEGEND_FRAME: Final = 7
"""Columns beside the names in the legend, and beside the plot."""
# plotext paints black on white; a terminal has a paper and an ink of its own.
_PAPER: Final = re.compile(r"\x1b\[(?:48;5;\d+|38;5;0)m")


def retention_curve(curves: Mapping[str, Mapping[int, float]], width: int, colours: bool) -> Text:
    """Shares from 0 to 1 by horizon, a line per name; horizons are evenly spaced, as they grow geometrically.

    colours: lines are told apart by colour; without, by letters.
    """
    horizons = sorted({horizon_s for curve in curves.values() for horizon_s in curve})
    at = {horizon_s: place for place, horizon_s in enumerate(horizons)}
    figure = plotext.figure
    figure.clear()
    # The legend has two lines for each name, and is left out where it does not fit.
    height = max(_HEIGHT, 2 * len(curves) + 6)
    figure.plot_size(width, height)
    for letter, (name, curve) in zip(cycle("abcdefghijklmnopqrstuvwxyz"), curves.items(), strict=False):
        points = sorted(curve.items())
        places, values = [at[horizon_s] for horizon_s, _ in points], [value for _, value in points]
        signal = figure.signal(places, values, marker="braille" if colours else letter)
        signal.label(name)
        figure.draw(signal.lines() or signal)
    # The names stand at the left, and the curves begin beside them.
    figure.legend(x=0, y=height - 4, ha="left", va="bottom")
    names = min(0.5, (max(map(len, curves), default=0) + _LEGEND_FRAME) / max(1, width - _AXIS))
    last = max(1, len(horizons) - 1)
    figure.ruler("x").lim(-last * names / (1 - names), last)
    figure.ruler("x").ticks(list(at.values()), [horizon_name(horizon_s) for horizon_s in horizons])
    figure.ruler("y").lim(0, 1)
    figure.ruler("y").ticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    drawn = str(figure.build())
    return Text.from_ansi(_PAPER.sub("", drawn) if colours else plotext.uncolorize(drawn))
