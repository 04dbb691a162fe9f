"""JSON Schema of the events, for clients in other languages: `python -m keeprate.schemas.json_schema [--write]`.

The generated file is committed; a test fails when it and the code part ways. Rules between fields (a vote has a value
or a score, a check is not before its horizon) cannot be said in it: `decode` enforces them and names the field.
"""

import json
import sys
from pathlib import Path
from typing import Any

from keeprate.schemas.decode import EVENT_ADAPTER
from keeprate.schemas.events import SCHEMA_VERSION

PATH = Path(__file__).with_name(f"event.v{SCHEMA_VERSION}.schema.json")


def event_schema() -> dict[str, Any]:
    """The schema of one event, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Keeprate event, version {SCHEMA_VERSION}",
        **EVENT_ADAPTER.json_schema(),
    }


def rendered() -> str:
    """The schema as the committed file has it."""
    return json.dumps(event_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PATH.write_text(rendered(), encoding="utf-8")
    else:
        sys.stdout.write(rendered())
