"""What the docs send by curl is run as it stands, in a shell, and a collector takes it."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from keeprate.schemas.events import EVENT_TYPES
from tests.javascript.shop import collecting

DOCS = Path(__file__).parents[2] / "docs"
COMMAND = re.compile(r"^\$ (curl [^\n]*/v1/events.*?')$", re.DOTALL | re.MULTILINE)
LOCAL = "http://127.0.0.1:4318"


def test_every_command_of_the_docs_that_sends_is_taken(require: Callable[[str], str], tmp_path: Path) -> None:
    """Of every type of event there is one, and no event of any command is refused."""
    require("curl")
    pages = [(DOCS / name).read_text("utf-8") for name in ("events.md", "collector.md")]
    commands = [command for page in pages for command in COMMAND.findall(page)]
    assert len(commands) == len(EVENT_TYPES) + 1
    with collecting(tmp_path, "editor", "all") as (url, key, publisher):
        environment = os.environ | {"KEEPRATE_URL": url, "KEEPRATE_KEY": key, "KEY": key}
        for command in commands:
            sent = command.replace(LOCAL, url).replace("curl", "curl --silent --noproxy '*'", 1)
            done = subprocess.run(["sh", "-c", sent], env=environment, capture_output=True, text=True, check=True)
            answer = json.loads(done.stdout)
            assert (answer["refused"], answer["errors"]) == (0, []), (command, answer)
            assert answer["accepted"] > 0
        assert {event["type"] for event in publisher.events} == set(EVENT_TYPES)
