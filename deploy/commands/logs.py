"""What a process logs, to stderr: lines for people, or one JSON object a line for who collects them."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Final

from keeprate.producers.errors import SettingsError

VARIABLE: Final = "KEEPRATE_LOG_FORMAT"
_LINES: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One object a line: `at` (UTC), `level`, `logger`, `message`, and `error` where an exception goes with it."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def start(level: str = "INFO") -> None:
    """Log to stderr from here on, as `KEEPRATE_LOG_FORMAT` says: `text` or `json`. Raises SettingsError."""
    wanted = os.environ.get(VARIABLE) or "text"
    if wanted not in ("text", "json"):
        raise SettingsError(VARIABLE, f"{wanted!r} is neither text nor json")
    level = level.upper()
    if level not in logging.getLevelNamesMapping():
        raise SettingsError("--log-level", f"{level} is none of DEBUG, INFO, WARNING and ERROR")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if wanted == "json" else logging.Formatter(_LINES))
    logging.basicConfig(level=level, handlers=[handler], force=True)
