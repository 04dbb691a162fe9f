"""The file of outcomes: what came of each fault when it was last made, of `make fault` and of `make js-fault`."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.fault.cell import Outcome

RESULTS: Final = Path(".bench") / "faults.json"
IN_BROWSERS: Final = "browser: "
"""What the names of faults of browsers begin with."""


def file(outcomes: Mapping[str, Outcome], names: Collection[str]) -> None:
    """Put outcomes beside those of faults that were not made this time.

    names: all faults that this command can make. Of its own that it cannot make any more, nothing is kept.
    """
    RESULTS.parent.mkdir(exist_ok=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    is_browsers = any(name.startswith(IN_BROWSERS) for name in names)
    others = [one for one in known if one["fault"].startswith(IN_BROWSERS) != is_browsers]
    own = {one["fault"]: one for one in known if one["fault"] in names}
    own |= {name: asdict(outcome) for name, outcome in outcomes.items()}
    rows = [own[name] for name in names if name in own]
    RESULTS.write_text(json.dumps(others + rows if is_browsers else rows + others, indent=1) + "\n")
